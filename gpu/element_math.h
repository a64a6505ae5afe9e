// The arithmetic of gpu/element.h. For kernels.
#pragma once

#include "base/encodings/item_math.h"
#include "gpu/element.h"
#include "gpu/kernel.h"

namespace cairn::gpu {

inline constexpr unsigned kNanF32 = 0x7fc00000;

CAIRN_DEVICE bool is_nan(unsigned bits) { return (bits & 0x7fffffff) > 0x7f800000; }

CAIRN_DEVICE float power_of_two(int exponent) {
  return __uint_as_float(static_cast<unsigned>(exponent + 127) << 23);
}

/// As lib/convert.h: of NaNs nothing is kept but the sign.
CAIRN_DEVICE unsigned half_of_f32(float value) {
  const unsigned bits = __float_as_uint(value);
  return is_nan(bits) ? (bits >> 16 & 0x8000) | 0x7e00 : f16_of(bits);
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

/// REQUIRES: is_float(element).
CAIRN_DEVICE float f32_of(uint64_t bits, Element element) {
  const auto low = static_cast<unsigned>(bits);
  if (element == Element::kF32) return __uint_as_float(low);
  if (element == Element::kBF16) return __uint_as_float(f32_of_bf16(static_cast<uint16_t>(low)));
  if (element == Element::kF16) return __uint_as_float(f32_of_f16(static_cast<uint16_t>(low)));
  if (element == Element::kF64) return f32_of_f64(bits);
  return f32_of_eighth(low, element);
}

/// REQUIRES: a float, as a target.
CAIRN_DEVICE uint64_t float_element(float value, Element element) {
  if (element == Element::kF32) return __float_as_uint(value);
  if (element == Element::kBF16) return bf16_of(__float_as_uint(value));
  if (element == Element::kF16) return half_of_f32(value);
  return f64_of_f32(value);
}

/// An integer's value; that of kU64 as it is taken for signed.
CAIRN_DEVICE int64_t integer_of(uint64_t bits, Element element) {
  if (element == Element::kBool) return (bits & 0xff) != 0 ? 1 : 0;
  if (element == Element::kI8) return static_cast<int8_t>(bits);
  if (element == Element::kI16) return static_cast<int16_t>(bits);
  if (element == Element::kI32) return static_cast<int32_t>(bits);
  return static_cast<int64_t>(bits);
}

/// A float, or a double, as T: towards zero, the nearest T where there is none, 0 for NaNs.
template <class T, class Float>
CAIRN_DEVICE uint64_t saturated(Float value) {
  constexpr T kMost = static_cast<T>(T(-1) < T(0) ? ~uint64_t{0} >> (65 - 8 * sizeof(T))
                                                  : ~uint64_t{0} >> (64 - 8 * sizeof(T)));
  constexpr T kLeast = static_cast<T>(~kMost);  // of unsigned ones 0
  if (value != value) return 0;
  // The largest value is rounded up by the conversion, hence >=.
  if (value >= static_cast<Float>(kMost)) return static_cast<uint64_t>(kMost);
  if (value <= static_cast<Float>(kLeast)) return static_cast<uint64_t>(kLeast);
  return static_cast<uint64_t>(static_cast<T>(value));
}

/// REQUIRES: an integer.
template <class Float>
CAIRN_DEVICE uint64_t integer_element(Float value, Element element) {
  if (element == Element::kBool) return value != 0 ? 1 : 0;
  if (element == Element::kU8) return saturated<uint8_t>(value);
  if (element == Element::kI8) return saturated<int8_t>(value);
  if (element == Element::kU16) return saturated<uint16_t>(value);
  if (element == Element::kI16) return saturated<int16_t>(value);
  if (element == Element::kU32) return saturated<uint32_t>(value);
  if (element == Element::kI32) return saturated<int32_t>(value);
  if (element == Element::kU64) return saturated<uint64_t>(value);
  return saturated<int64_t>(value);
}

/// What an integer becomes.
CAIRN_DEVICE uint64_t element_of_integer(int64_t value, bool is_unsigned, Element as) {
  if (as == Element::kBool) return value != 0 ? 1 : 0;
  if (is_integer(as)) return static_cast<uint64_t>(value);
  const auto positive = static_cast<uint64_t>(value);
  if (as == Element::kF64) {
    return static_cast<uint64_t>(__double_as_longlong(is_unsigned ? static_cast<double>(positive)
                                                                  : static_cast<double>(value)));
  }
  return float_element(is_unsigned ? static_cast<float>(positive) : static_cast<float>(value), as);
}

/// The element that another one becomes, in the low bytes; what is above them means nothing.
/// REQUIRES: is_target(as), `from` is not kBytes.
CAIRN_DEVICE uint64_t converted_element(uint64_t bits, Element from, Element as) {
  if (is_integer(from)) {
    return element_of_integer(integer_of(bits, from), from == Element::kU64, as);
  }
  if (!is_integer(as)) return float_element(f32_of(bits, from), as);
  if (from == Element::kF64) {
    return integer_element(__longlong_as_double(static_cast<long long>(bits)), as);
  }
  return integer_element(f32_of(bits, from), as);
}

}  // namespace cairn::gpu
