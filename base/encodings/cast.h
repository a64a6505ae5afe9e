// Casts between the float dtypes of a weight and its master, many items at a time. One rounding, to
// nearest even; NaNs stay NaNs (docs/FORMAT.md, section 7.3, fixes every bit). The truth for
// lib/convert.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace cairn {

enum class Cast : uint8_t { kF32ToBf16 = 1, kBf16ToF32 = 2, kF32ToF16 = 3, kF16ToF32 = 4 };

constexpr bool is_known(Cast cast) { return cast >= Cast::kF32ToBf16 && cast <= Cast::kF16ToF32; }
constexpr unsigned source_bytes(Cast cast) {
  return cast == Cast::kF32ToBf16 || cast == Cast::kF32ToF16 ? 4 : 2;
}
constexpr unsigned target_bytes(Cast cast) { return 6 - source_bytes(cast); }

/// REQUIRES: a known cast, in.size() / source_bytes == out.size() / target_bytes. Any alignment, no
/// overlap. Threads: any; does not look at the thread's rounding mode or flush-to-zero.
void cast_items(Cast cast, ByteSpan in, MutableBytes out);

}  // namespace cairn
