#include "store/base_cycles.h"

#include <fmt/format.h>

#include <map>
#include <vector>

namespace cairn {
namespace {

/// Depth first, with a stack of its own: chains may be long.
class CycleSearch {
 public:
  explicit CycleSearch(std::vector<Locator> pages) : pages_(std::move(pages)) {}

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
    BaseRef copy;
    size_t next_base = 0;
  };
  using Key = std::pair<uint32_t, uint32_t>;

  Result<bool> search_from(const BaseRef& start) {
    if (seen_.contains(key(start))) return false;
    std::vector<Step> path{{start, 0}};
    seen_[key(start)] = Seen::kOpen;
    while (!path.empty()) {
      Step& step = path.back();
      const std::vector<BaseRef>& bases = pages_[step.copy.page].copies[step.copy.slot].bases;
      if (step.next_base == bases.size()) {
        seen_[key(step.copy)] = Seen::kDone;
        path.pop_back();
        continue;
      }
      const BaseRef base = bases[step.next_base++];
      CAIRN_CHECK(check_there(base));
      const auto [seen, is_new] = seen_.try_emplace(key(base), Seen::kOpen);
      if (is_new) path.push_back({base, 0});
      if (!is_new && seen->second == Seen::kOpen) return true;
    }
    return false;
  }

  Status check_there(const BaseRef& base) const {
    if (base.page < pages_.size() && base.slot < pages_[base.page].copies.size()) return {};
    return fail(Code::kCorrupt, fmt::format("a copy has a base at slot {} of page {}, where there "
                                            "is none",
                                            base.slot, base.page));
  }

  static Key key(const BaseRef& base) { return {base.page, base.slot}; }

  const std::vector<Locator> pages_;
  std::map<Key, Seen> seen_;
};

}  // namespace

Result<bool> has_base_cycle(size_t page_count,
                            const std::function<Result<Locator>(size_t page)>& read) {
  std::vector<Locator> pages(page_count);
  for (size_t page = 0; page < page_count; ++page) {
    CAIRN_TRY(pages[page], read(page));
  }
  return CycleSearch(std::move(pages)).run();
}

}  // namespace cairn
