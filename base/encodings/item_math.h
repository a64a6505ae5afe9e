// The arithmetic of one item: ranks, residuals and casts (docs/FORMAT.md, sections 7.1 and 7.3), in
// integers but for one product that is exact. The one source for processors and for devices, so it
// calls no builtin that device code lacks. In an anonymous namespace: files compiled for wider
// machines include this.
#pragma once

#include <cstdint>

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

template <bool kIsFloat, class U>
[[gnu::always_inline]] constexpr U rank_of(U item) {
  if constexpr (!kIsFloat) return item;
  constexpr int kTop = 8 * sizeof(U) - 1;
  const U is_negative = static_cast<U>(-(item >> kTop));  // all bits or none
  return static_cast<U>(item ^ (is_negative | U{1} << kTop));
}
/// The inverse.
template <bool kIsFloat, class U>
[[gnu::always_inline]] constexpr U item_of_rank(U rank) {
  if constexpr (!kIsFloat) return rank;
  constexpr int kTop = 8 * sizeof(U) - 1;
  const U was_negative = static_cast<U>((rank >> kTop) - 1);
  return static_cast<U>(rank ^ (was_negative | U{1} << kTop));
}

template <bool kIsFloat, class U>
[[gnu::always_inline]] constexpr U residual_of(U item, U prediction) {
  constexpr int kTop = 8 * sizeof(U) - 1;
  const U d = static_cast<U>(rank_of<kIsFloat>(item) - rank_of<kIsFloat>(prediction));
  return static_cast<U>(static_cast<U>(d << 1) ^ static_cast<U>(-(d >> kTop)));
}
/// The item of which this is the residual.
template <bool kIsFloat, class U>
[[gnu::always_inline]] constexpr U corrected(U prediction, U residual) {
  const U d = static_cast<U>((residual >> 1) ^ static_cast<U>(-(residual & 1)));
  return item_of_rank<kIsFloat>(static_cast<U>(rank_of<kIsFloat>(prediction) + d));
}

[[gnu::always_inline]] constexpr uint16_t bf16_of(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

[[gnu::always_inline]] constexpr uint32_t f32_of_bf16(uint16_t bits) {
  return uint32_t{bits} << 16;
}

[[gnu::always_inline]] constexpr uint16_t f16_of(uint32_t bits) {
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t half = 0;
  if (magnitude > 0x7f800000) {
    half = 0x7e00 | (magnitude >> 13 & 0x3ff);
  } else if (magnitude >= 0x477ff000) {
    half = 0x7c00;  // 65520 and more round to infinity
  } else if (magnitude >= 0x38800000) {
    half = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  } else if (magnitude >= 0x33000000) {  // else below half of the smallest
    // In units of 2^-24, the distance of subnormals.
    const uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    const uint32_t shift = 126 - (magnitude >> 23);
    half = (mantissa + (1u << (shift - 1)) - 1 + (mantissa >> shift & 1)) >> shift;
  }
  return static_cast<uint16_t>(sign | half);
}

[[gnu::always_inline]] constexpr uint32_t f32_of_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00) return sign | 0x7f800000 | (magnitude & 0x3ff) << 13;
  if (magnitude >= 0x0400) return sign | ((magnitude << 13) + 0x38000000);
  // Exact in every rounding mode, and no subnormal of F32.
  return sign | __builtin_bit_cast(uint32_t, static_cast<float>(magnitude) * 0x1p-24f);
}

}  // namespace
}  // namespace cairn
