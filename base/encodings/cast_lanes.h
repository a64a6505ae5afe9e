// Casts in vectors of N bytes, in integer arithmetic: no rounding mode and no flush-to-zero of the
// thread can change a bit. See base/encodings/item_lanes.h.
#pragma once

#include "base/encodings/item_lanes.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

template <size_t N>
struct CastLanes {
  using OfHalves = VectorOfItems<uint16_t, N>;
  using H = typename OfHalves::Type;
  using OfWords = VectorOfItems<uint32_t, N>;
  using W = typename OfWords::Type;
  using I = typename OfWords::Signed;
  typedef float F __attribute__((vector_size(N)));

  CAIRN_INLINE static W bf16_of(W bits) {
    const W rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (I)(bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded;
  }
  CAIRN_INLINE static W f16_of(W bits) {
    const W sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    const I m = (I)magnitude;
    const W mantissa = (magnitude & 0x7fffff) | 0x800000;
    // Of subnormals; others get a shift that is allowed and a result that is not taken.
    const I raw_shift = 126 - (m >> 23);
    const W shift = (W)(raw_shift < 1 ? I{} + 1 : raw_shift > 31 ? I{} + 31 : raw_shift);
    const W one = W{} + 1;
    const W subnormal = (mantissa + (one << (shift - 1)) - 1 + (mantissa >> shift & 1)) >> shift;
    const W normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    W half = m < 0x38800000 ? subnormal : normal;
    half = m < 0x33000000 ? W{} : half;
    half = m >= 0x477ff000 ? W{} + 0x7c00 : half;
    half = m > 0x7f800000 ? (0x7e00 | (magnitude >> 13 & 0x3ff)) : half;
    return sign | half;
  }
  CAIRN_INLINE static W f32_of_f16(W bits) {
    const W sign = (bits & 0x8000) << 16, magnitude = bits & 0x7fff;
    const I m = (I)magnitude;
    // Integers below 1024 are exact as floats, in every mode; 24 less in the exponent is 2^-24.
    const W whole = (W) __builtin_convertvector(m & 0x3ff, F);
    W single = (magnitude << 13) + 0x38000000;
    single = m < 0x0400 ? whole - (24u << 23) : single;
    single = m == 0 ? W{} : single;
    single = m >= 0x7c00 ? (0x7f800000 | (magnitude & 0x3ff) << 13) : single;
    return sign | single;
  }

  template <class Of>
  CAIRN_INLINE static size_t narrow(const uint8_t* in, size_t count, uint8_t* out, Of of) {
    size_t i = 0;
    for (; i + OfHalves::kCount <= count; i += OfHalves::kCount) {
      const W low = of(load<W>(in + 4 * i)), high = of(load<W>(in + 4 * i + N));
      store(out + 2 * i, OfHalves::even((H)low, (H)high));
    }
    return i;
  }
  template <class Of>
  CAIRN_INLINE static size_t widen(const uint8_t* in, size_t count, uint8_t* out, Of of) {
    size_t i = 0;
    for (; i + OfHalves::kCount <= count; i += OfHalves::kCount) {
      const H halves = load<H>(in + 2 * i);
      store(out + 4 * i, of((W)OfHalves::zip_low(halves, H{})));
      store(out + 4 * i + N, of((W)OfHalves::zip_high(halves, H{})));
    }
    return i;
  }

  static void bf16_from_f32(const uint8_t* in, size_t count, uint8_t* out) {
    const size_t done = narrow(
        in, count, out, [](W bits) __attribute__((always_inline)) { return bf16_of(bits); });
    cairn::bf16_from_f32(in + 4 * done, count - done, out + 2 * done);
  }
  static void f16_from_f32(const uint8_t* in, size_t count, uint8_t* out) {
    const size_t done = narrow(
        in, count, out, [](W bits) __attribute__((always_inline)) { return f16_of(bits); });
    cairn::f16_from_f32(in + 4 * done, count - done, out + 2 * done);
  }
  static void f32_from_bf16(const uint8_t* in, size_t count, uint8_t* out) {
    const size_t done = widen(
        in, count, out, [](W bits) __attribute__((always_inline)) { return bits << 16; });
    cairn::f32_from_bf16(in + 2 * done, count - done, out + 4 * done);
  }
  static void f32_from_f16(const uint8_t* in, size_t count, uint8_t* out) {
    const size_t done = widen(
        in, count, out, [](W bits) __attribute__((always_inline)) { return f32_of_f16(bits); });
    cairn::f32_from_f16(in + 2 * done, count - done, out + 4 * done);
  }
};

}  // namespace
}  // namespace cairn
