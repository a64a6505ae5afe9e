// Where a stored copy lies within its pack. Copies without stored bytes (zeros) lie where the next
// one does: lengths tell them apart.
#pragma once

#include <compare>
#include <cstdint>

#include "store/locator.h"

namespace cairn {

struct CopyPlace {
  uint64_t offset = 0;
  uint32_t stored_bytes = 0;
  uint32_t decoded_bytes = 0;

  auto operator<=>(const CopyPlace&) const = default;
};

inline CopyPlace place_of(const Copy& copy) {
  return {copy.offset, copy.stored_bytes, copy.decoded_bytes};
}

}  // namespace cairn
