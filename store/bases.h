// The copies that a copy is made from. A locator names them by their page's digest and a slot; the
// locator table of the tag at hand says where that page and its copies lie. A base is a copy of an
// earlier save or of an earlier place in the same one, so nothing is made from itself.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "store/locator.h"
#include "store/locator_table.h"

namespace cairn {

/// A copy by numbers: a page of one locator table, and a slot.
struct CopyRef {
  uint32_t page = 0;
  uint32_t slot = 0;

  auto operator<=>(const CopyRef&) const = default;
};

/// The pages of a table by their digests; of pages that are equal the first. Threads: any.
class PageNumbers {
 public:
  PageNumbers() = default;
  explicit PageNumbers(const LocatorTable& table);

  std::optional<uint32_t> of(const Digest& page) const;
  /// Errors: kCorrupt when the table has no such page.
  Result<CopyRef> resolve(const BaseRef& base) const;

 private:
  std::map<Digest, uint32_t> numbers_;
};

/// Errors: kCorrupt when the page has no such slot.
Status check_slot(const CopyRef& ref, const Locator& locator);

/// Gives the locator of a page by its number in the table.
using ReadLocator = std::function<Result<Locator>(size_t page)>;
using VisitCopy = std::function<Status(const CopyRef&, const Copy&)>;

/// Calls visit for the copies `wanted` and those that they are made from, each once.
/// Errors: those of `read` and `visit`; kCorrupt for a base that does not exist.
Status follow_bases(std::vector<CopyRef> wanted, const PageNumbers& numbers,
                    const ReadLocator& read, const VisitCopy& visit);

/// Calls visit for every copy that a load of the checkpoint may read: those of its own pages and
/// those that they are made from, each page and slot once. Errors: as follow_bases.
Status for_each_needed(const LocatorTable& table, const ReadLocator& read, const VisitCopy& visit);

}  // namespace cairn
