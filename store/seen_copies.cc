#include "store/seen_copies.h"

#include <algorithm>

namespace cairn {

void SeenCopies::agree_with(const LocatorTable& table) {
  bool agrees = true;
  for (size_t page = 0; page < table.page_count(); ++page) {
    const PagePlace& place = table.place(page);
    const auto [known, fresh] = locators_.try_emplace(place.page.digest, place.locator.digest);
    agrees = agrees && (fresh || known->second == place.locator.digest);
  }
  if (agrees) return;
  met_.clear();
  locators_.clear();
  for (size_t page = 0; page < table.page_count(); ++page) {
    locators_.try_emplace(table.place(page).page.digest, table.place(page).locator.digest);
  }
}

bool SeenCopies::add_all(const Digest& locator) {
  Met& met = met_[locator];
  const bool fresh = !met.all;
  met.all = true;
  return fresh;
}

bool SeenCopies::add(const Digest& locator, uint32_t slot) {
  Met& met = met_[locator];
  if (met.all || (slot < met.slots.size() && met.slots[slot])) return false;
  met.slots.resize(std::max<size_t>(met.slots.size(), slot + 1));
  met.slots[slot] = true;
  return true;
}

}  // namespace cairn
