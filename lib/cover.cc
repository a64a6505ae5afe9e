#include "lib/cover.h"

#include <algorithm>
#include <numeric>

namespace cairn {

/// Pairs that overlap: sorted by their first offset, a box meets only those that begin before it
/// ends.
static std::vector<std::pair<size_t, size_t>> find_overlaps(const std::vector<Box>& boxes) {
  std::vector<std::pair<size_t, size_t>> overlaps;
  std::vector<size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (!boxes.empty() && boxes[0].rank() > 0) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return boxes[a].offsets[0] < boxes[b].offsets[0]; });
  }
  for (size_t i = 0; i < order.size(); ++i) {
    const Box& box = boxes[order[i]];
    for (size_t j = i + 1; j < order.size(); ++j) {
      const Box& other = boxes[order[j]];
      if (box.rank() > 0 && other.offsets[0] >= box.offsets[0] + box.lengths[0]) break;
      if (intersect(box, other)) overlaps.push_back(std::minmax(order[i], order[j]));
    }
  }
  return overlaps;
}

/// The first hole of `part`, which is cut along `axis` at every edge of a box; the axes before it
/// are not cut by any of the boxes `among`.
static std::optional<Box> find_hole(const Box& part, const std::vector<Box>& boxes,
                                    const std::vector<size_t>& among, size_t axis) {
  if (among.empty()) return part;
  if (axis == part.rank()) return std::nullopt;
  const uint64_t begin = part.offsets[axis], end = begin + part.lengths[axis];
  std::vector<uint64_t> edges = {begin, end};
  for (const size_t i : among) {
    edges.push_back(std::max(begin, boxes[i].offsets[axis]));
    edges.push_back(std::min(end, boxes[i].offsets[axis] + boxes[i].lengths[axis]));
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  for (size_t e = 0; e + 1 < edges.size(); ++e) {
    Box slab = part;
    slab.offsets[axis] = edges[e];
    slab.lengths[axis] = edges[e + 1] - edges[e];
    std::vector<size_t> inside;
    for (const size_t i : among) {
      if (intersect(boxes[i], slab)) inside.push_back(i);
    }
    if (auto hole = find_hole(slab, boxes, inside, axis + 1)) return hole;
  }
  return std::nullopt;
}

CoverReport check_cover(const Shape& shape, const std::vector<Box>& boxes) {
  CoverReport report;
  report.overlaps = find_overlaps(boxes);
  const Box whole = whole_box(shape);
  if (whole.is_empty()) return report;
  if (report.overlaps.empty()) {
    // Without overlaps a count of elements tells, and the search for the hole is for the message.
    uint64_t covered = 0;
    for (const Box& box : boxes) covered += box.elements();
    if (covered == whole.elements()) return report;
  }
  std::vector<size_t> all;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (!boxes[i].is_empty()) all.push_back(i);
  }
  report.hole = find_hole(whole, boxes, all, 0);
  return report;
}

std::vector<Box> piece_boxes(const std::vector<Piece>& pieces) {
  std::vector<Box> boxes;
  for (const Piece& piece : pieces) boxes.push_back({piece.offsets, piece.lengths});
  return boxes;
}

bool make_up(const std::vector<Box>& parts, const Box& whole) {
  std::vector<Box> boxes;
  for (Box box : parts) {
    if (box.offsets.size() != whole.rank()) return false;
    for (size_t axis = 0; axis < whole.rank(); ++axis) {
      if (box.offsets[axis] < whole.offsets[axis]) return false;
      box.offsets[axis] -= whole.offsets[axis];
    }
    if (!check_box(box, whole.lengths)) return false;
    boxes.push_back(std::move(box));
  }
  const CoverReport cover = check_cover(whole.lengths, boxes);
  return !cover.hole && cover.overlaps.empty();
}

}  // namespace cairn
