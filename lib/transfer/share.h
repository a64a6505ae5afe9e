// What of a transfer falls to one of several that fetch it together, each for a store of its own.
#pragma once

#include "store/locator.h"

namespace cairn {

/// The same for all who know the source, whatever their own stores have.
struct Share {
  /// Of a pack; longer than a range that is read at once.
  static constexpr uint64_t kPieceBytes = 8 * kMiB;

  uint32_t index = 0;  ///< from 0
  uint32_t count = 1;

  bool has(const Copy& copy) const {
    return (std::hash<FileId>()(copy.pack) + copy.offset / kPieceBytes) % count == index;
  }
};

}  // namespace cairn
