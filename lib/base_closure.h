// What a new tag takes along from its base: the pages of the copies that its own are made from, and
// the packs in which all of them lie.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "lib/base_tag.h"

namespace cairn {

class BaseClosure {
 public:
  /// `own_pages`: digests of the new tag's pages. `base`: may be null.
  BaseClosure(BaseTag* base, const std::vector<Digest>& own_pages)
      : base_(base), own_pages_(own_pages.begin(), own_pages.end()) {}

  /// The copies of one of the tag's pages, which it has `times` times. Errors: kCorrupt for a base
  /// that neither tag has.
  Status add(const Locator& locator, uint64_t times);
  /// Sets the table's closure and packs. Errors: those of reading the base.
  Status finish(LocatorTable& table);

 private:
  Status follow(const CopyRef& ref, std::set<CopyRef>& met);

  BaseTag* const base_;
  const std::set<Digest> own_pages_;
  std::vector<CopyRef> wanted_;  // of the base tag
  std::map<FileId, uint64_t> uses_;
};

}  // namespace cairn
