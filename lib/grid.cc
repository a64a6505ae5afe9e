#include "lib/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/bytes.h"

namespace cairn {

__extension__ using Wide = unsigned __int128;

/// Runs along the last axis stay at least this long, so that reading a part of a chunk's rows never
/// becomes many tiny copies.
static constexpr uint64_t kRunElementsMin = 512;

static bool exceeds(const Shape& shape, const std::vector<uint64_t>& parts, uint64_t limit) {
  Wide elements = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    elements *= ceil_div(shape[axis], parts[axis]);
    if (elements > limit) return true;
  }
  return false;
}

/// The axis to cut finer next: the one of fewest parts so far, of several the first. There is
/// always one: with none, every axis but the last has tiles of 1 and the last of less than 1024.
static std::optional<size_t> axis_to_cut(const Shape& shape, const std::vector<uint64_t>& parts) {
  std::optional<size_t> chosen;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const bool is_last = axis + 1 == shape.size();
    if (parts[axis] == shape[axis]) continue;
    if (is_last && ceil_div(shape[axis], 2 * parts[axis]) < kRunElementsMin) continue;
    if (!chosen || parts[axis] < parts[*chosen]) chosen = axis;
  }
  return chosen;
}

Grid::Grid(const Shape& shape, uint64_t chunk_elements)
    : shape_(shape), parts_(shape.size(), 1), chunk_count_(1) {
  for (const uint64_t length : shape) {
    if (length == 0) chunk_count_ = 0;
  }
  if (chunk_count_ == 0) return;
  while (exceeds(shape_, parts_, chunk_elements)) {
    const auto axis = axis_to_cut(shape_, parts_);
    if (!axis) break;
    parts_[*axis] = std::min(2 * parts_[*axis], shape_[*axis]);
  }
  for (const uint64_t parts : parts_) chunk_count_ *= parts;
}

uint64_t Grid::edge(size_t axis, uint64_t number) const {
  const Wide product = static_cast<Wide>(number) * shape_[axis];
  return static_cast<uint64_t>((product + parts_[axis] - 1) / parts_[axis]);
}

uint64_t Grid::part_of(size_t axis, uint64_t coordinate) const {
  // The largest i with ceil(i n / p) <= c is floor(c p / n).
  const Wide product = static_cast<Wide>(coordinate) * parts_[axis];
  return static_cast<uint64_t>(product / shape_[axis]);
}

Box Grid::chunk_box(uint64_t chunk) const {
  Box box{std::vector<uint64_t>(shape_.size()), std::vector<uint64_t>(shape_.size())};
  for (size_t axis = shape_.size(); axis-- > 0;) {
    const uint64_t part = chunk % parts_[axis];
    chunk /= parts_[axis];
    box.offsets[axis] = edge(axis, part);
    box.lengths[axis] = edge(axis, part + 1) - box.offsets[axis];
  }
  return box;
}

void Grid::for_each_chunk(const Box& box, const std::function<void(uint64_t chunk)>& visit) const {
  if (chunk_count_ == 0 || box.is_empty()) return;
  const size_t rank = shape_.size();
  std::vector<uint64_t> first(rank), last(rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    first[axis] = part_of(axis, box.offsets[axis]);
    last[axis] = part_of(axis, box.offsets[axis] + box.lengths[axis] - 1);
  }
  std::vector<uint64_t> at = first;
  for (;;) {
    uint64_t chunk = 0;
    for (size_t axis = 0; axis < rank; ++axis) chunk = chunk * parts_[axis] + at[axis];
    visit(chunk);
    size_t axis = rank;
    while (axis > 0 && at[axis - 1] == last[axis - 1]) {
      --axis;
      at[axis] = first[axis];
    }
    if (axis == 0) return;
    ++at[axis - 1];
  }
}

Result<Grid> grid_of(const TensorInfo& tensor, const StorageForm& form, uint64_t chunk_elements) {
  Grid grid(form.shape, chunk_elements);
  if (grid.chunk_count() == tensor.chunk_count) return grid;
  return fail(Code::kCorrupt, fmt::format("tensor '{}' says {} chunks, its grid has {}",
                                          tensor.name, tensor.chunk_count, grid.chunk_count()));
}

}  // namespace cairn
