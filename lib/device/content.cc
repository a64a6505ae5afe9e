#include "lib/device/content.h"

#include <algorithm>

#include "gpu/device.h"

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
  const bool is_one = std::all_of(memories.begin(), memories.end(), [&](const auto& memory) {
    return memory == memories.front();
  });
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

std::vector<gpu::BoxCopy> copies_to(const Content& content, uint8_t* to) {
  std::vector<gpu::BoxCopy> copies;
  for (const PlacedBox& box : content.boxes) {
    copies.push_back({box.memory.data, box.memory.strides_bytes, to + box.offset,
                      box.strides_bytes, box.lengths, box.item_bytes});
  }
  return copies;
}

/// One contiguous box after the other.
static Status carry_rows(const StridedSource& from, const StridedTarget& to,
                         const std::vector<uint64_t>& lengths, size_t axis, uint64_t item_bytes,
                         gpu::Stream stream) {
  const std::vector<uint64_t> rest(lengths.begin() + static_cast<ptrdiff_t>(axis), lengths.end());
  const std::vector<int64_t> from_strides(
      from.strides_bytes.begin() + static_cast<ptrdiff_t>(axis), from.strides_bytes.end());
  const std::vector<int64_t> to_strides(to.strides_bytes.begin() + static_cast<ptrdiff_t>(axis),
                                        to.strides_bytes.end());
  const auto contiguous = contiguous_strides(rest, item_bytes);
  if (rest.empty() || (from_strides == contiguous && to_strides == contiguous)) {
    uint64_t bytes = item_bytes;
    for (const uint64_t length : rest) bytes *= length;
    return gpu::copy_down(stream, {to.data, bytes}, from.data);
  }
  for (uint64_t i = 0; i < lengths[axis]; ++i) {
    const auto at = static_cast<int64_t>(i);
    CAIRN_CHECK(carry_rows({from.data + at * from.strides_bytes[axis], from.strides_bytes},
                           {to.data + at * to.strides_bytes[axis], to.strides_bytes}, lengths,
                           axis + 1, item_bytes, stream));
  }
  return {};
}

Status carry_down(const Content& content, gpu::Stream stream, MutableBytes to) {
  for (size_t i = 0; i < content.boxes.size(); ++i) {
    const PlacedBox& box = content.boxes[i];
    const StridedTarget target{to.data() + box.offset, box.strides_bytes};
    if (!content.memories[i]) {
      copy_box(box.memory, target, box.lengths, box.item_bytes);
    } else {
      CAIRN_CHECK(carry_rows(box.memory, target, box.lengths, 0, box.item_bytes, stream));
    }
  }
  return gpu::synchronize(stream);
}

}  // namespace cairn
