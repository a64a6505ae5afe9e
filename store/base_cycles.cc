#include "store/base_cycles.h"

#include <map>
#include <vector>

namespace cairn {
namespace {

/// Depth first, with a stack of its own: chains may be long.
class CycleSearch {
 public:
  CycleSearch(std::vector<Locator> pages, const LocatorTable& table)
      : pages_(std::move(pages)), numbers_(table) {}

  Result<bool> run() {
    for (uint32_t page = 0; page < pages_.size(); ++page) {
      for (uint32_t slot = 0; slot < pages_[page].copies.size(); ++slot) {
        if (pages_[page].copies[slot].bases.empty()) continue;
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
      const std::vector<BaseRef>& bases = pages_[step.copy.page].copies[step.copy.slot].bases;
      if (step.next_base == bases.size()) {
        seen_[step.copy] = Seen::kDone;
        path.pop_back();
        continue;
      }
      CAIRN_TRY(const CopyRef base, numbers_.resolve(bases[step.next_base++]));
      CAIRN_CHECK(check_slot(base, pages_[base.page]));
      const auto [seen, is_new] = seen_.try_emplace(base, Seen::kOpen);
      if (is_new) path.push_back({base, 0});
      if (!is_new && seen->second == Seen::kOpen) return true;
    }
    return false;
  }

  const std::vector<Locator> pages_;
  const PageNumbers numbers_;
  std::map<CopyRef, Seen> seen_;
};

}  // namespace

Result<bool> has_base_cycle(const LocatorTable& table, const ReadLocator& read) {
  std::vector<Locator> pages(table.page_count());
  for (size_t page = 0; page < pages.size(); ++page) {
    CAIRN_TRY(pages[page], read(page));
  }
  return CycleSearch(std::move(pages), table).run();
}

}  // namespace cairn
