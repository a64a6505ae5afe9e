#include "store/bases.h"

#include <fmt/format.h>

namespace cairn {

PageNumbers::PageNumbers(const LocatorTable& table) {
  for (uint32_t page = 0; page < table.page_count(); ++page) {
    numbers_.try_emplace(table.place(page).page.digest, page);
  }
}

std::optional<uint32_t> PageNumbers::of(const Digest& page) const {
  const auto found = numbers_.find(page);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

Result<CopyRef> PageNumbers::resolve(const BaseRef& base) const {
  const auto page = of(base.page);
  if (page) return CopyRef{*page, base.slot};
  return fail(Code::kCorrupt,
              fmt::format("a copy has a base in page {}, which the locator table lacks",
                          base.page.hex().substr(0, 16)));
}

Status check_slot(const CopyRef& ref, const Locator& locator) {
  if (ref.slot < locator.copies.size()) return {};
  return fail(Code::kCorrupt, fmt::format("a copy has a base at slot {} of page {}, where there is "
                                          "none",
                                          ref.slot, ref.page));
}

Status follow_bases(std::vector<CopyRef> wanted, const PageNumbers& numbers,
                    const ReadLocator& read, const VisitCopy& visit) {
  struct Opened {
    Locator locator;
    std::vector<bool> met;  // by slot
  };
  std::map<uint32_t, Opened> pages;
  while (!wanted.empty()) {
    const CopyRef ref = wanted.back();
    wanted.pop_back();
    auto page = pages.find(ref.page);
    if (page == pages.end()) {
      CAIRN_TRY(Locator locator, read(ref.page));
      const size_t slots = locator.copies.size();
      page = pages.emplace(ref.page, Opened{std::move(locator), std::vector<bool>(slots)}).first;
    }
    auto& [locator, met] = page->second;
    CAIRN_CHECK(check_slot(ref, locator));
    if (met[ref.slot]) continue;
    met[ref.slot] = true;
    const Copy& copy = locator.copies[ref.slot];
    for (const BaseRef& base : copy.bases) {
      CAIRN_TRY(wanted.emplace_back(), numbers.resolve(base));
    }
    CAIRN_CHECK(visit(ref, copy));
  }
  return {};
}

Status for_each_needed(const LocatorTable& table, const ReadLocator& read, const VisitCopy& visit) {
  const PageNumbers numbers(table);
  std::vector<CopyRef> wanted;
  for (uint32_t page = 0; page < table.pages.size(); ++page) {
    CAIRN_TRY(const Locator locator, read(page));
    for (uint32_t slot = 0; slot < locator.copies.size(); ++slot) {
      for (const BaseRef& base : locator.copies[slot].bases) {
        CAIRN_TRY(const CopyRef ref, numbers.resolve(base));
        // Own pages are met anyway.
        if (ref.page >= table.pages.size()) {
          wanted.push_back(ref);
        } else if (ref.page == page) {
          CAIRN_CHECK(check_slot(ref, locator));
        }
      }
      CAIRN_CHECK(visit({page, slot}, locator.copies[slot]));
    }
  }
  const auto of_others = [&](const CopyRef& ref, const Copy& copy) -> Status {
    return ref.page < table.pages.size() ? Status() : visit(ref, copy);
  };
  return follow_bases(std::move(wanted), numbers, read, of_others);
}

}  // namespace cairn
