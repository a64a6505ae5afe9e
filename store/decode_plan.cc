#include "store/decode_plan.h"

#include <fmt/format.h>

#include <unordered_map>

namespace cairn {
namespace {

/// Depth first, with a stack of its own: chains may be long.
class Planner {
 public:
  explicit Planner(Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  Result<uint32_t> add(const CopyRef& wanted) {
    CAIRN_CHECK(push(wanted));
    while (!path_.empty()) {
      Step& step = path_.back();
      if (step.next_base < step.copy.copy.bases.size()) {
        const BaseRef base = step.copy.copy.bases[step.next_base++];
        CAIRN_TRY(const CopyRef ref, checkpoint_.page_numbers().resolve(base));
        CAIRN_CHECK(push(ref));
        continue;
      }
      for (const BaseRef& base : step.copy.copy.bases) {
        step.copy.bases.push_back(numbers_[key(*checkpoint_.page_numbers().resolve(base))]);
      }
      numbers_[key(step.copy.ref)] = static_cast<uint32_t>(plan_.copies.size());
      plan_.copies.push_back(std::move(step.copy));
      path_.pop_back();
    }
    const uint32_t number = numbers_[key(wanted)];
    plan_.wanted.push_back(number);
    return number;
  }

  DecodePlan take() { return std::move(plan_); }

 private:
  struct Step {
    PlannedCopy copy;
    size_t next_base = 0;
  };
  static constexpr uint32_t kOpen = UINT32_MAX;

  static uint64_t key(const CopyRef& ref) { return uint64_t{ref.page} << 32 | ref.slot; }

  /// Begins a copy that was not met before.
  Status push(const CopyRef& ref) {
    const auto [known, fresh] = numbers_.try_emplace(key(ref), kOpen);
    if (!fresh && known->second != kOpen) return {};
    if (!fresh) return fail(Code::kCorrupt, "copies are made from each other in a circle");
    if (path_.size() == kChainLengthMax) {
      return fail(Code::kCorrupt,
                  fmt::format("a copy is made through more than {} others", kChainLengthMax));
    }
    CAIRN_TRY(const auto page, checkpoint_.page(ref.page));
    CAIRN_CHECK(check_slot(ref, page->locator));
    path_.push_back({{ref, page->locator.copies[ref.slot], page->digest_of(ref.slot), {}}, 0});
    return {};
  }

  Checkpoint& checkpoint_;
  DecodePlan plan_;
  std::vector<Step> path_;
  std::unordered_map<uint64_t, uint32_t> numbers_;
};

}  // namespace

Result<DecodePlan> plan_decoding(Checkpoint& checkpoint, std::span<const CopyRef> wanted) {
  Planner planner(checkpoint);
  for (const CopyRef& ref : wanted) CAIRN_CHECK(planner.add(ref));
  return planner.take();
}

}  // namespace cairn
