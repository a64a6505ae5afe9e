#include "lib/base_memory.h"

#include "base/digest.h"
#include "lib/strided.h"

namespace cairn {

BaseMemory::BaseMemory(std::span<const TensorSource> tensors, const SavePlan& plan) : plan_(plan) {
  if (tensors.empty()) return;
  std::map<std::string_view, size_t> items;
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    items[plan.tensors[item].first->name] = item;
  }
  for (const TensorSource& source : tensors) {
    const auto found = items.find(source.name);
    if (found == items.end()) continue;
    const PlannedTensor& tensor = plan.tensors[found->second];
    if (source.dtype != tensor.first->dtype || source.shape != tensor.first->shape) continue;
    auto box = source_box(tensor.form, source);
    if (box && box->data != nullptr && !box->device)
      boxes_[found->second].push_back(*std::move(box));
  }
}

bool BaseMemory::recall(size_t item, const Box& box, const Digest& digest,
                        MutableBytes room) const {
  const auto found = boxes_.find(item);
  if (found == boxes_.end()) return false;
  const uint64_t item_bytes = plan_.tensors[item].form.item_bytes;
  const StridedTarget target{room.data(), contiguous_strides(box.lengths, item_bytes)};
  uint64_t copied = 0;
  for (const SourceBox& source : found->second) {
    const auto common = intersect(source.box, box);
    if (!common) continue;
    copy_box(sub_box(StridedSource{source.data, source.strides_bytes}, source.box, *common),
             sub_box(target, box, *common), common->lengths, item_bytes);
    copied += common->elements();
  }
  // Boxes may overlap, and the caller may be wrong: the digest decides.
  return copied >= box.elements() && blake3(room) == digest;
}

}  // namespace cairn
