// Elements of float dtypes, converted as lib/convert.h does: through F32, to nearest even; the same
// bits, those of NaNs too. For kernels and who calls them.
#pragma once

#include <cstdint>

namespace cairn::gpu {

enum class Element : uint32_t {
  kBytes,  ///< any dtype that stays as it is, taken byte by byte
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kF16,
  kBF16,
  kF32,
  kF64,
};

constexpr unsigned element_bytes(Element element) {
  if (element == Element::kF64) return 8;
  if (element == Element::kF32) return 4;
  return element == Element::kF16 || element == Element::kBF16 ? 2 : 1;
}
constexpr bool is_wide(Element element) { return element_bytes(element) > 1; }

}  // namespace cairn::gpu
