// Which copies of its bases a checkpoint needs. The pages of a closure hold more: of those other
// copies gc may have taken the bytes, or what they are made from, and no lease protects them.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "store/bases.h"
#include "store/checkpoint.h"

namespace cairn {

class NeededBases {
 public:
  /// Memory: about 30 bytes for each copy of the closure that is needed. Errors: those of reading
  /// locators; kCorrupt for a base that does not exist.
  static Result<NeededBases> of(Checkpoint& checkpoint);

  /// True for all copies of the checkpoint's own pages.
  bool contains(const CopyRef& ref) const {
    return ref.page < own_pages_ || needed_.contains(key(ref));
  }

 private:
  static uint64_t key(const CopyRef& ref) { return uint64_t{ref.page} << 32 | ref.slot; }

  size_t own_pages_ = 0;
  std::unordered_set<uint64_t> needed_;
};

}  // namespace cairn
