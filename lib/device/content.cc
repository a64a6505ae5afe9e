#include "lib/device/content.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace cairn {

static void add_box(Content& content, const SourceBox& source, const Box& part, const Box& whole,
                    uint64_t item_bytes) {
  const auto strides = contiguous_strides(whole.lengths, item_bytes);
  const auto in_run = sub_box(StridedTarget{nullptr, strides}, whole, part);
  content.boxes.push_back(
      {sub_box(StridedSource{source.data, source.strides_bytes}, source.box, part), strides,
       static_cast<uint64_t>(in_run.data - static_cast<uint8_t*>(nullptr)), part.lengths,
       item_bytes});
  content.memories.push_back(source.device);
}

/// Whose memory it is, and whether it lies as rows there.
static void find_form(Content& content) {
  const auto& memories = content.memories;
  if (memories.empty()) return;
  const bool is_one = std::all_of(memories.begin(), memories.end(),
                                  [&](const auto& memory) { return memory == memories.front(); });
  if (!is_one || !memories.front()) return;
  content.device = memories.front();
  if (content.boxes.size() != 1) return;
  const PlacedBox& box = content.boxes.front();
  const auto rows = as_rows(box.memory.strides_bytes, box.lengths, box.item_bytes);
  if (!rows) return;
  // Kernels only read what a tile of a save lies in.
  content.tile = gpu::Tile{const_cast<uint8_t*>(box.memory.data), rows->row_bytes,
                           rows->stride_bytes, rows->rows};
}

Content content_of(const SavePlan& plan, const Unit& unit) {
  const PlannedTensor& tensor = plan.tensors[unit.item];
  Content content;
  content.bytes = plan.unit_bytes(unit);
  for (const size_t number : unit.sources) {
    const SourceBox& source = tensor.boxes[number];
    const auto part = intersect(source.box, unit.box);
    if (part) add_box(content, source, *part, unit.box, tensor.form.item_bytes);
  }
  find_form(content);
  return content;
}

Content content_of(const SourceBox& source, uint64_t item_bytes) {
  Content content;
  content.bytes = source.box.elements() * item_bytes;
  add_box(content, source, source.box, source.box, item_bytes);
  find_form(content);
  return content;
}

gpu::BoxCopy box_copy(const StridedSource& from, const StridedTarget& to,
                      std::vector<uint64_t> lengths, uint64_t item_bytes) {
  gpu::BoxCopy copy{from.data,        from.strides_bytes, to.data,
                    to.strides_bytes, std::move(lengths), item_bytes};
  for (size_t axis = 0; axis < copy.lengths.size(); ++axis) {
    if (copy.to_strides[axis] >= 0 || copy.lengths[axis] == 0) continue;
    // What is filled backwards is filled from its other end: kernels go forwards.
    const auto last = static_cast<int64_t>(copy.lengths[axis] - 1);
    copy.from += last * copy.from_strides[axis];
    copy.to += last * copy.to_strides[axis];
    copy.from_strides[axis] *= -1;
    copy.to_strides[axis] *= -1;
  }
  if (std::has_single_bit(item_bytes)) return copy;
  copy.lengths.push_back(std::exchange(copy.item_bytes, 1));
  copy.from_strides.push_back(1);
  copy.to_strides.push_back(1);
  return copy;
}

std::vector<gpu::BoxCopy> copies_to(const Content& content, uint8_t* to) {
  std::vector<gpu::BoxCopy> copies;
  for (const PlacedBox& box : content.boxes) {
    copies.push_back(
        box_copy(box.memory, {to + box.offset, box.strides_bytes}, box.lengths, box.item_bytes));
  }
  return copies;
}

}  // namespace cairn
