#include "lib/base_closure.h"

namespace cairn {

Status BaseClosure::add(const Locator& locator, uint64_t times) {
  for (const Copy& copy : locator.copies) {
    uses_[copy.pack] += copy.stored_bytes * times;
    for (const BaseRef& base : copy.bases) {
      if (own_pages_.contains(base.page)) continue;
      if (base_ == nullptr) return fail(Code::kBug, "a copy is made from a tag that is none");
      CAIRN_TRY(wanted_.emplace_back(), base_->checkpoint().page_numbers().resolve(base));
    }
  }
  return {};
}

/// Counts a copy of the base tag, and wants what it is made from.
Status BaseClosure::follow(const CopyRef& ref, std::set<CopyRef>& met) {
  Checkpoint& before = base_->checkpoint();
  // What pages of the new tag are made from was added with them: they may be stored otherwise now.
  if (own_pages_.contains(before.table().place(ref.page).page.digest)) return {};
  if (!met.insert(ref).second) return {};
  CAIRN_TRY(const auto page, before.page(ref.page));
  CAIRN_CHECK(check_slot(ref, page->locator));
  const Copy& copy = page->locator.copies[ref.slot];
  uses_[copy.pack] += copy.stored_bytes;
  for (const BaseRef& base : copy.bases) {
    CAIRN_TRY(wanted_.emplace_back(), before.page_numbers().resolve(base));
  }
  return {};
}

Status BaseClosure::finish(LocatorTable& table) {
  std::set<CopyRef> met;
  while (!wanted_.empty()) {
    const CopyRef ref = wanted_.back();
    wanted_.pop_back();
    CAIRN_CHECK(follow(ref, met));
  }
  std::set<uint32_t> pages;
  for (const CopyRef& ref : met) pages.insert(ref.page);
  for (const uint32_t page : pages) {
    table.closure.push_back(base_->checkpoint().table().place(page));
  }
  for (const auto& [pack, bytes] : uses_) table.packs.push_back({pack, bytes});
  return {};
}

}  // namespace cairn
