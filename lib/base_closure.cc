#include "lib/base_closure.h"

namespace cairn {

Status BaseClosure::add(const Locator& locator) {
  for (const Copy& copy : locator.copies) {
    uses_[copy.pack] += copy.stored_bytes;
    for (const BaseRef& base : copy.bases) {
      if (own_pages_.contains(base.page)) continue;
      if (base_ == nullptr) return fail(Code::kBug, "a copy is made from a tag that is none");
      CAIRN_TRY(wanted_.emplace_back(), base_->checkpoint().page_numbers().resolve(base));
    }
  }
  return {};
}

Status BaseClosure::finish(LocatorTable& table) {
  if (!wanted_.empty()) {
    Checkpoint& before = base_->checkpoint();
    std::set<uint32_t> pages;
    const auto read = [&](size_t page) -> Result<Locator> {
      CAIRN_TRY(const auto loaded, before.page(page));
      return loaded->locator;
    };
    const auto visit = [&](const CopyRef& ref, const Copy& copy) -> Status {
      // The tag's own copies are counted already.
      if (own_pages_.contains(before.table().place(ref.page).page.digest)) return {};
      pages.insert(ref.page);
      uses_[copy.pack] += copy.stored_bytes;
      return {};
    };
    CAIRN_CHECK(follow_bases(std::move(wanted_), before.page_numbers(), read, visit));
    for (const uint32_t page : pages) table.closure.push_back(before.table().place(page));
  }
  for (const auto& [pack, bytes] : uses_) table.packs.push_back({pack, bytes});
  return {};
}

}  // namespace cairn
