// What a stored copy is, wherever it lies: copies of one key can stand for each other.
#pragma once

#include <compare>
#include <span>

#include "store/locator.h"
#include "store/pack_format.h"

namespace cairn {

struct CopyKey {
  Digest digest;  ///< of what it decodes to
  /// How: 0 for what is stored as it is, else told by its size when decoded, encoding, digests of
  /// bases and parameters.
  uint64_t decoding = 0;
  uint32_t stored_bytes = 0;

  auto operator<=>(const CopyKey&) const = default;
};

/// `bases`: the digests of `copy`'s.
CopyKey key_of(const Digest& digest, const Copy& copy, std::span<const Digest> bases);
CopyKey key_of(const PackedCopy& row);

}  // namespace cairn
