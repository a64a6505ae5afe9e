#include "store/base_cycles.h"

#include <map>
#include <vector>

namespace cairn {
namespace {

/// Depth first, with a stack of its own: chains may be long.
class CycleSearch {
 public:
  CycleSearch(const LocatorTable& table, const ReadLocator& read)
      : own_pages_(table.pages.size()), numbers_(table), read_(read) {}

  Result<bool> run() {
    for (uint32_t page = 0; page < own_pages_; ++page) {
      CAIRN_TRY(const Locator* locator, open(page));
      for (uint32_t slot = 0; slot < locator->copies.size(); ++slot) {
        if (locator->copies[slot].bases.empty()) continue;
        CAIRN_TRY(const bool found, search_from({page, slot}));
        if (found) return true;
      }
    }
    return false;
  }

 private:
  enum class Seen : uint8_t { kOpen, kDone };
  struct Step {
    CopyRef copy;
    size_t next_base = 0;
  };

  Result<bool> search_from(const CopyRef& start) {
    if (seen_.contains(start)) return false;
    std::vector<Step> path{{start, 0}};
    seen_[start] = Seen::kOpen;
    while (!path.empty()) {
      Step& step = path.back();
      CAIRN_TRY(const Locator* locator, open(step.copy.page));
      const std::vector<BaseRef>& bases = locator->copies[step.copy.slot].bases;
      if (step.next_base == bases.size()) {
        seen_[step.copy] = Seen::kDone;
        path.pop_back();
        continue;
      }
      CAIRN_TRY(const CopyRef base, numbers_.resolve(bases[step.next_base++]));
      CAIRN_TRY(const Locator* of_base, open(base.page));
      CAIRN_CHECK(check_slot(base, *of_base));
      const auto [seen, is_new] = seen_.try_emplace(base, Seen::kOpen);
      if (is_new) path.push_back({base, 0});
      if (!is_new && seen->second == Seen::kOpen) return true;
    }
    return false;
  }

  Result<const Locator*> open(uint32_t page) {
    const auto [at, fresh] = pages_.try_emplace(page);
    if (fresh) {
      CAIRN_TRY(at->second, read_(page));
    }
    return &at->second;
  }

  const size_t own_pages_;
  const PageNumbers numbers_;
  const ReadLocator& read_;
  std::map<uint32_t, Locator> pages_;
  std::map<CopyRef, Seen> seen_;
};

}  // namespace

Result<bool> has_base_cycle(const LocatorTable& table, const ReadLocator& read) {
  return CycleSearch(table, read).run();
}

}  // namespace cairn
