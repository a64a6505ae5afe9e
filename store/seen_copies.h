// Which copies were met, with all that they are made from, while tags are walked one after the
// other: tags share pages and chains, and each copy is worth a look only once.
#pragma once

#include <map>
#include <vector>

#include "store/locator_table.h"

namespace cairn {

/// Copies go by their locator and slot. Threads: one.
class SeenCopies {
 public:
  /// Before the copies of a table. Bases are named by page: what was met counts for this table only
  /// if every page has the same locator in it, else all is forgotten.
  void agree_with(const LocatorTable& table);

  /// Meets all copies of a locator; false when that was done before.
  bool add_all(const Digest& locator);
  /// Meets one; false when that was done before.
  bool add(const Digest& locator, uint32_t slot);

 private:
  struct Met {
    bool all = false;
    std::vector<bool> slots;
  };
  std::map<Digest, Met> met_;          // by locator
  std::map<Digest, Digest> locators_;  // by page, in all tables that met_ was made from
};

}  // namespace cairn
