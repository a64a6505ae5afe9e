#include "lib/restore_budget.h"

#include <algorithm>

#include "lib/restore_cost.h"
#include "store/decode_plan.h"

namespace cairn {

RestoreBudget::RestoreBudget(BaseTag* base, const SavePlan& plan, std::span<const SaveGroup> groups,
                             double limit)
    : first_group_(groups.data()), due_(groups.size()) {
  if (base == nullptr) return;
  std::vector<Chain> chains;
  double total = 0, allowed = 0;
  for (uint32_t number = 0; number < groups.size(); ++number) {
    const SaveGroup& group = groups[number];
    if (group.items.front() >= plan.tensors.size()) continue;
    for (uint32_t chunk = 0; chunk < group.chunks; ++chunk) {
      std::vector<CopyRef> refs;
      uint64_t bytes = 0;
      for (const size_t item : group.items) {
        for (const Unit& each : plan.units_of(item, chunk)) {
          const auto unit = base->unit_at(item, chunk, each.is_piece ? &each.box : nullptr);
          if (!unit) continue;
          refs.push_back(unit->ref);
          bytes += unit->decoded_bytes;
        }
      }
      const auto decoding = plan_decoding(base->checkpoint(), refs);
      // What cannot be read is found when it is wanted.
      if (!decoding) continue;
      if (decoding->copies.size() > kSavedChainCopiesMax) make_due(number, chunk);
      double seconds = 0;
      for (const PlannedCopy& planned : decoding->copies) seconds += restore_seconds(planned.copy);
      const double alone = keyframe_seconds(bytes), handed_out = deliver_seconds(bytes);
      // What this save adds to a chain costs about a third of a keyframe.
      const double longer = seconds + alone / 3;
      allowed += limit * (alone + handed_out);
      total += longer + handed_out;
      if (longer > alone) chains.push_back({number, chunk, longer - alone, longer / alone});
    }
  }
  choose(std::move(chains), allowed, total);
}

/// The longest chains end first. So the first time that the limit is met a few begin anew, and from
/// then on a few in every save: chains of one tag come to be of all lengths.
void RestoreBudget::choose(std::vector<Chain> chains, double allowed, double total) {
  if (total <= allowed) return;
  std::stable_sort(chains.begin(), chains.end(),
                   [](const Chain& a, const Chain& b) { return a.length > b.length; });
  for (const Chain& chain : chains) {
    if (total <= allowed) return;
    make_due(chain.group, chain.chunk);
    total -= chain.saved_seconds;
  }
}

void RestoreBudget::make_due(uint32_t group, uint32_t chunk) {
  std::vector<bool>& due = due_[group];
  if (due.empty()) due.resize(first_group_[group].chunks);
  due[chunk] = true;
}

bool RestoreBudget::is_due(const SaveGroup& group, uint64_t chunk) const {
  const std::vector<bool>& due = due_[static_cast<size_t>(&group - first_group_)];
  return !due.empty() && due[chunk];
}

}  // namespace cairn
