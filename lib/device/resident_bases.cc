#include "lib/device/resident_bases.h"

#include <string_view>

namespace cairn {

ResidentBases::ResidentBases(std::span<const TensorSource> bases, const SavePlan& plan)
    : plan_(plan) {
  std::map<std::string_view, size_t> items;
  for (const TensorSource& base : bases) {
    if (!base.device) continue;
    if (items.empty()) {
      for (size_t i = 0; i < plan.tensors.size(); ++i) items[plan.tensors[i].first->name] = i;
    }
    const auto found = items.find(base.name);
    if (found == items.end()) continue;
    const PlannedTensor& tensor = plan.tensors[found->second];
    if (base.dtype != tensor.first->dtype || base.shape != tensor.first->shape) continue;
    auto box = source_box(tensor.form, base);
    if (box && box->data != nullptr) boxes_[found->second].push_back(*std::move(box));
  }
}

std::optional<Content> ResidentBases::before(const Unit& unit, unsigned device) const {
  const auto found = boxes_.find(unit.item);
  if (found == boxes_.end()) return std::nullopt;
  for (const SourceBox& box : found->second) {
    if (box.device != device || !contains(box.box, unit.box)) continue;
    const SourceBox part{
        unit.box, sub_box(StridedSource{box.data, box.strides_bytes}, box.box, unit.box).data,
        box.strides_bytes, 0, device};
    Content content = content_of(part, plan_.tensors[unit.item].form.item_bytes);
    if (content.tile) return content;
  }
  return std::nullopt;
}

}  // namespace cairn
