#include "store/needed_bases.h"

namespace cairn {

Result<NeededBases> NeededBases::of(Checkpoint& checkpoint) {
  NeededBases needed;
  needed.own_pages_ = checkpoint.table().pages.size();
  const auto read = [&](size_t number) -> Result<Locator> {
    CAIRN_TRY(const auto page, checkpoint.page(number));
    return page->locator;
  };
  const auto note = [&](const CopyRef& ref, const Copy&) -> Status {
    if (ref.page >= needed.own_pages_) needed.needed_.insert(key(ref));
    return {};
  };
  CAIRN_CHECK(for_each_needed(checkpoint.table(), read, note));
  return needed;
}

}  // namespace cairn
