#include "lib/save_groups.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/encodings/cast.h"
#include "lib/staged_calls.h"

namespace cairn {

/// Where a role stands in its group; nullopt for one that says nothing of the others.
static std::optional<size_t> place_of(Role role) {
  switch (role) {
    case Role::kExpAvg:
      return 0;
    case Role::kExpAvgSq:
      return 1;
    case Role::kMaxExpAvgSq:
      return 2;
    case Role::kMaster:
      return 3;
    case Role::kWeight:
      return 4;
    case Role::kNone:
    case Role::kStep:
    case Role::kOther:
      break;
  }
  return std::nullopt;
}

/// Sub-byte elements are not predicted; all others of one shape share a grid.
static bool is_groupable(const PlannedTensor& tensor) {
  return !tensor.first->parameter.empty() && place_of(tensor.first->role).has_value() &&
         bits_per_element(tensor.first->dtype) >= 8 && tensor.grid.chunk_count() > 0;
}

namespace {

/// Finds the F32 tensors that narrower ones are roundings of.
class Pairing {
 public:
  Pairing(const SavePlan& plan, StagedSave* staged, std::vector<bool>& taken)
      : plan_(plan), staged_(staged), taken_(taken) {
    for (size_t item = 0; item < plan.tensors.size(); ++item) {
      if (is_free(item, Dtype::kF32)) wide_.emplace(plan.tensors[item].first->shape, item);
    }
  }

  /// The F32 tensor and then the narrower one; nullopt when there is none.
  std::optional<SaveGroup> pair(size_t narrow) {
    const bool is_bf16 = is_free(narrow, Dtype::kBF16);
    if (!is_bf16 && !is_free(narrow, Dtype::kF16)) return std::nullopt;
    const PlannedTensor& tensor = plan_.tensors[narrow];
    const auto [first, last] = wide_.equal_range(tensor.first->shape);
    for (auto at = first; at != last; ++at) {
      const Cast cast = is_bf16 ? Cast::kF32ToBf16 : Cast::kF32ToF16;
      if (!is_rounding(tensor, plan_.tensors[at->second], cast)) continue;
      const SaveGroup group{{at->second, narrow}, tensor.grid.chunk_count()};
      taken_[at->second] = taken_[narrow] = true;
      wide_.erase(at);
      return group;
    }
    return std::nullopt;
  }

 private:
  bool is_free(size_t item, Dtype dtype) const {
    const PlannedTensor& tensor = plan_.tensors[item];
    return !taken_[item] && tensor.first->role == Role::kNone && tensor.first->dtype == dtype &&
           tensor.grid.chunk_count() > 0;
  }

  static const SourceBox* first_box(const PlannedTensor& tensor) {
    const auto held = std::find_if(tensor.boxes.begin(), tensor.boxes.end(),
                                   [](const SourceBox& box) { return !box.box.is_empty(); });
    return held == tensor.boxes.end() ? nullptr : &*held;
  }
  /// Looks at the first items of the last axis in the first box that has any.
  bool is_rounding(const PlannedTensor& narrow, const PlannedTensor& wide, Cast cast) const {
    constexpr size_t kSampleItems = 32;
    const SourceBox *const first = first_box(narrow), *const second = first_box(wide);
    if (first == nullptr || second == nullptr) return false;
    const SourceBox &a = *first, &b = *second;
    if (a.box != b.box || a.box.lengths.empty()) return false;
    const size_t count = std::min<size_t>(kSampleItems, a.box.lengths.back());
    uint8_t items[kSampleItems * 2], sources[kSampleItems * 4], rounded[kSampleItems * 2];
    if (!look(a, {items, 2 * count}, 2) || !look(b, {sources, 4 * count}, 4)) return false;
    cast_items(cast, {sources, 4 * count}, {rounded, 2 * count});
    return std::memcmp(items, rounded, 2 * count) == 0;
  }

  /// Reads the first items of the last axis; false when they cannot be had.
  bool look(const SourceBox& box, MutableBytes items, size_t item_bytes) const {
    const int64_t stride = box.strides_bytes.back();
    if (box.device) {
      return staged_ != nullptr && stride == static_cast<int64_t>(item_bytes) &&
             staged_->peek(box, items);
    }
    for (size_t at = 0; at < items.size(); at += item_bytes) {
      std::memcpy(&items[at], box.data + static_cast<int64_t>(at / item_bytes) * stride,
                  item_bytes);
    }
    return true;
  }

  const SavePlan& plan_;
  StagedSave* const staged_;
  std::vector<bool>& taken_;
  std::multimap<Shape, size_t> wide_;
};

}  // namespace

std::vector<SaveGroup> group_items(const SavePlan& plan, StagedSave* staged) {
  using Key = std::pair<std::string_view, Shape>;
  std::map<Key, std::map<size_t, size_t>> by_parameter;  // place in the group -> item
  std::vector<bool> taken(plan.tensors.size());
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    const PlannedTensor& tensor = plan.tensors[item];
    taken[item] = !plan.is_here(item);
    if (taken[item] || !is_groupable(tensor)) continue;
    const Key key{tensor.first->parameter, tensor.first->shape};
    taken[item] = by_parameter[key].try_emplace(*place_of(tensor.first->role), item).second;
  }
  std::vector<SaveGroup> groups;
  for (const auto& [key, members] : by_parameter) {
    SaveGroup& group = groups.emplace_back();
    for (const auto& [place, item] : members) group.items.push_back(item);
    group.chunks = plan.tensors[group.items.front()].grid.chunk_count();
  }
  Pairing pairing(plan, staged, taken);
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    if (auto pair = pairing.pair(item)) groups.push_back(*std::move(pair));
  }
  std::stable_partition(groups.begin(), groups.end(),
                        [](const SaveGroup& group) { return group.items.size() > 1; });
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    const uint64_t chunks = plan.tensors[item].grid.chunk_count();
    if (!taken[item] && chunks > 0) groups.push_back({{item}, chunks});
  }
  for (size_t i = 0; i < plan.attachments.size(); ++i) {
    const size_t item = plan.tensors.size() + i;
    const uint64_t chunks = plan.chunk_count(item);
    if (chunks > 0 && plan.is_here(item)) groups.push_back({{item}, chunks});
  }
  return groups;
}

}  // namespace cairn
