// The arithmetic of gpu/element.h. For kernels.
#pragma once

#include "gpu/element.h"
#include "gpu/kernel.h"

namespace cairn::gpu {

inline constexpr unsigned kNanF32 = 0x7fc00000;

CAIRN_DEVICE bool is_nan(unsigned bits) { return (bits & 0x7fffffff) > 0x7f800000; }

CAIRN_DEVICE float power_of_two(int exponent) {
  return __uint_as_float(static_cast<unsigned>(exponent + 127) << 23);
}

CAIRN_DEVICE float f32_of_half(unsigned bits) {
  const unsigned sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 0x1f,
                 mantissa = bits & 0x3ff;
  if (exponent == 31) return __uint_as_float(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return __uint_as_float(sign | (exponent + 112) << 23 | mantissa << 13);
  const float value = __fmul_rn(static_cast<float>(mantissa), power_of_two(-24));
  return __uint_as_float(__float_as_uint(value) | sign);
}

CAIRN_DEVICE unsigned half_of_f32(float value) {
  const unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000;
  const unsigned magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and more round to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 puts the value's units of 2^-24 into the low bits, rounded to even.
    const float shifted = __fadd_rn(__uint_as_float(magnitude), 0.5f);
    return sign | (__float_as_uint(shifted) - 0x3f000000);
  }
  return sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
}

CAIRN_DEVICE unsigned brain_of_f32(float value) {
  const unsigned bits = __float_as_uint(value);
  if (is_nan(bits)) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

CAIRN_DEVICE float f32_of_eighth(unsigned bits, Element element) {
  const float nan = __uint_as_float(kNanF32);
  if (element == Element::kF8E8M0) {
    if (bits == 0xff) return nan;
    return bits == 0 ? __uint_as_float(0x00400000) : power_of_two(static_cast<int>(bits) - 127);
  }
  const bool is_fnuz = element == Element::kF8E4M3Fnuz || element == Element::kF8E5M2Fnuz;
  const bool is_e5m2 = element == Element::kF8E5M2 || element == Element::kF8E5M2Fnuz;
  const int mantissa_bits = is_e5m2 ? 2 : 3;
  const int bias = (is_e5m2 ? 15 : 7) + (is_fnuz ? 1 : 0);
  const int exponent = static_cast<int>(bits & 0x7f) >> mantissa_bits;
  const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  if (is_fnuz && bits == 0x80) return nan;
  if (element == Element::kF8E4M3 && (bits & 0x7f) == 0x7f) return nan;
  const unsigned sign = (bits & 0x80) << 24;
  if (element == Element::kF8E5M2 && exponent == 31) {
    return mantissa != 0 ? nan : __uint_as_float(sign | 0x7f800000);
  }
  const int units = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  const int scale = (exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
  const float value = __fmul_rn(static_cast<float>(units), power_of_two(scale));
  return __uint_as_float(__float_as_uint(value) | sign);
}

// NaNs keep sign and high bits and are quiet, as on the host; a device's own conversion has one
// NaN.
CAIRN_DEVICE uint64_t f64_of_f32(float value) {
  const unsigned bits = __float_as_uint(value);
  if (is_nan(bits)) {
    return uint64_t{bits & 0x80000000} << 32 | 0x7ff8000000000000 | uint64_t{bits & 0x7fffff} << 29;
  }
  return static_cast<uint64_t>(__double_as_longlong(static_cast<double>(value)));
}
CAIRN_DEVICE float f32_of_f64(uint64_t bits) {
  if ((bits & 0x7fffffffffffffff) > 0x7ff0000000000000) {
    return __uint_as_float(static_cast<unsigned>(bits >> 32 & 0x80000000) | kNanF32 |
                           static_cast<unsigned>(bits >> 29 & 0x3fffff));
  }
  return __double2float_rn(__longlong_as_double(static_cast<long long>(bits)));
}

CAIRN_DEVICE float f32_of(uint64_t bits, Element element) {
  const auto low = static_cast<unsigned>(bits);
  if (element == Element::kF32) return __uint_as_float(low);
  if (element == Element::kBF16) return __uint_as_float(low << 16);
  if (element == Element::kF16) return f32_of_half(low);
  if (element == Element::kF64) return f32_of_f64(bits);
  return f32_of_eighth(low, element);
}

/// REQUIRES: is_wide(element).
CAIRN_DEVICE uint64_t element_of(float value, Element element) {
  if (element == Element::kF32) return __float_as_uint(value);
  if (element == Element::kBF16) return brain_of_f32(value);
  if (element == Element::kF16) return half_of_f32(value);
  return f64_of_f32(value);
}

}  // namespace cairn::gpu
