#include "lib/cover.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace cairn {

/// The axis along which the boxes begin at the most places.
static size_t longest_axis(const std::vector<Box>& boxes) {
  size_t longest = 0, most = 0;
  for (size_t axis = 0; !boxes.empty() && axis < boxes[0].rank(); ++axis) {
    std::set<uint64_t> begins;
    for (const Box& box : boxes) begins.insert(box.offsets[axis]);
    if (begins.size() > most) longest = axis;
    most = std::max(most, begins.size());
  }
  return longest;
}

/// Calls visit(a, b) for pairs that overlap until it returns false. Sorted by their offsets along
/// one axis, a box meets only those that begin before it ends.
template <class Visit>
static void visit_overlaps(const std::vector<Box>& boxes, const Visit& visit) {
  std::vector<size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t axis = longest_axis(boxes);
  const bool is_scalar = boxes.empty() || boxes[0].rank() == 0;
  if (!is_scalar) {
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return boxes[a].offsets[axis] < boxes[b].offsets[axis];
    });
  }
  for (size_t i = 0; i < order.size(); ++i) {
    const Box& box = boxes[order[i]];
    for (size_t j = i + 1; j < order.size(); ++j) {
      const Box& other = boxes[order[j]];
      if (!is_scalar && other.offsets[axis] >= box.offsets[axis] + box.lengths[axis]) break;
      if (intersect(box, other) && !visit(order[i], order[j])) return;
    }
  }
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
  visit_overlaps(boxes, [&](size_t a, size_t b) {
    report.overlaps.push_back(std::minmax(a, b));
    return true;
  });
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
  // Boxes of the right size in all that are disjoint leave no hole.
  uint64_t covered = 0;
  for (const Box& box : boxes) {
    if (box.elements() > whole.elements() - covered) return false;
    covered += box.elements();
  }
  bool disjoint = true;
  visit_overlaps(boxes, [&](size_t, size_t) { return disjoint = false; });
  return disjoint && covered == whole.elements();
}

}  // namespace cairn
