// The arithmetic of one item: ranks, residuals and casts (docs/FORMAT.md, sections 7.1 and 7.3), in
// integers but for one product that is exact. The one source for processors and for devices, so it
// calls no builtin that device code lacks. In an anonymous namespace: files compiled for wider
// machines include this.
#pragma once

#include <cstdint>

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

/// Numbers of type U side by side in a word of type W; one, where both are the same.
template <class U, class W>
struct Packed {
  static constexpr int kTop = 8 * sizeof(U) - 1;
  static constexpr W kOnes = static_cast<W>(static_cast<W>(-1) / static_cast<U>(-1));
  static constexpr W kTops = static_cast<W>(kOnes << kTop);
  static constexpr W kOthers = static_cast<W>(~kTops);

  /// All bits of each number of which the highest one is set, and none of the others.
  [[gnu::always_inline]] static constexpr W spread_tops(W word) {
    return spread_ones(static_cast<W>(word >> kTop));
  }
  /// The same of the lowest bit.
  [[gnu::always_inline]] static constexpr W spread_ones(W word) {
    return static_cast<W>(static_cast<W>(word & kOnes) * static_cast<U>(-1));
  }
  // No carry goes from one number to the next.
  [[gnu::always_inline]] static constexpr W sum(W a, W b) {
    if constexpr (sizeof(U) == sizeof(W)) return static_cast<W>(a + b);
    return ((a & kOthers) + (b & kOthers)) ^ ((a ^ b) & kTops);
  }
  [[gnu::always_inline]] static constexpr W difference(W a, W b) {
    if constexpr (sizeof(U) == sizeof(W)) return static_cast<W>(a - b);
    return ((a | kTops) - (b & kOthers)) ^ ((a ^ ~b) & kTops);
  }
};

template <bool kIsFloat, class U, class W = U>
[[gnu::always_inline]] constexpr W ranks_of(W items) {
  using P = Packed<U, W>;
  return kIsFloat ? static_cast<W>(items ^ (P::spread_tops(items) | P::kTops)) : items;
}
/// The inverse.
template <bool kIsFloat, class U, class W = U>
[[gnu::always_inline]] constexpr W items_of_ranks(W ranks) {
  using P = Packed<U, W>;
  const W were_negative = P::spread_tops(static_cast<W>(~ranks));
  return kIsFloat ? static_cast<W>(ranks ^ (were_negative | P::kTops)) : ranks;
}

template <bool kIsFloat, class U, class W = U>
[[gnu::always_inline]] constexpr W residuals_of(W items, W prediction) {
  using P = Packed<U, W>;
  const W d = P::difference(ranks_of<kIsFloat, U, W>(items), ranks_of<kIsFloat, U, W>(prediction));
  return static_cast<W>((static_cast<W>(d << 1) & ~P::kOnes) ^ P::spread_tops(d));
}
/// The items of which these are the residuals.
template <bool kIsFloat, class U, class W = U>
[[gnu::always_inline]] constexpr W corrected(W prediction, W residuals) {
  using P = Packed<U, W>;
  const W d = static_cast<W>((residuals >> 1 & P::kOthers) ^ P::spread_ones(residuals));
  return items_of_ranks<kIsFloat, U, W>(P::sum(ranks_of<kIsFloat, U, W>(prediction), d));
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
