#include "lib/save_groups.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace cairn {

/// Where a role stands in its group; nullopt for one that says nothing of the others.
static std::optional<size_t> place_of(Role role) {
  switch (role) {
    case Role::kExpAvg:
      return 0;
    case Role::kExpAvgSq:
      return 1;
    case Role::kMaster:
      return 2;
    case Role::kWeight:
      return 3;
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

std::vector<SaveGroup> group_items(const SavePlan& plan) {
  using Key = std::pair<std::string_view, Shape>;
  std::map<Key, std::map<size_t, size_t>> by_parameter;  // place in the group -> item
  std::vector<bool> taken(plan.tensors.size());
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    const PlannedTensor& tensor = plan.tensors[item];
    if (!is_groupable(tensor)) continue;
    const Key key{tensor.first->parameter, tensor.first->shape};
    taken[item] = by_parameter[key].try_emplace(*place_of(tensor.first->role), item).second;
  }
  std::vector<SaveGroup> groups;
  for (const auto& [key, members] : by_parameter) {
    SaveGroup& group = groups.emplace_back();
    for (const auto& [place, item] : members) group.items.push_back(item);
    group.chunks = plan.tensors[group.items.front()].grid.chunk_count();
  }
  std::stable_partition(groups.begin(), groups.end(),
                        [](const SaveGroup& group) { return group.items.size() > 1; });
  for (size_t item = 0; item < plan.tensors.size(); ++item) {
    const uint64_t chunks = plan.tensors[item].grid.chunk_count();
    if (!taken[item] && chunks > 0) groups.push_back({{item}, chunks});
  }
  for (size_t i = 0; i < plan.attachments.size(); ++i) {
    const uint64_t chunks =
        attachment_chunk_count(plan.attachment_infos[i], plan.opaque_chunk_bytes);
    if (chunks > 0) groups.push_back({{plan.tensors.size() + i}, chunks});
  }
  return groups;
}

}  // namespace cairn
