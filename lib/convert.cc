#include "lib/convert.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

namespace cairn {

uint16_t bf16_from_f32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float f32_from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t f16_from_f32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and more round to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 puts the value's units of 2^-24 into the low bits, rounded to even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t rounded = magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

float f32_from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

float f32_from_f8(uint8_t bits, Dtype dtype) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (dtype == Dtype::kF8E8M0) return bits == 0xff ? kNan : std::ldexp(1.0f, bits - 127);
  const bool fnuz = dtype == Dtype::kF8E4M3Fnuz || dtype == Dtype::kF8E5M2Fnuz;
  const bool e5m2 = dtype == Dtype::kF8E5M2 || dtype == Dtype::kF8E5M2Fnuz;
  const int mantissa_bits = e5m2 ? 2 : 3;
  const int bias = (e5m2 ? 15 : 7) + (fnuz ? 1 : 0);
  const int exponent = (bits & 0x7f) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  if (fnuz && bits == 0x80) return kNan;
  if (dtype == Dtype::kF8E4M3 && (bits & 0x7f) == 0x7f) return kNan;
  const float sign = bits & 0x80 ? -1.0f : 1.0f;
  if (dtype == Dtype::kF8E5M2 && exponent == 31) {
    return mantissa != 0 ? kNan : sign * std::numeric_limits<float>::infinity();
  }
  if (exponent == 0)
    return sign * std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits);
  return sign * std::ldexp(static_cast<float>(mantissa + (1 << mantissa_bits)),
                           exponent - bias - mantissa_bits);
}

namespace {

struct Bool {
  uint8_t byte;
};
struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
template <Dtype kDtype>
struct Eighth {
  uint8_t bits;
};

/// The value of a stored element: float, double, or an integer type.
template <class Stored>
auto value_of(Stored stored) {
  return stored;
}
int64_t value_of(Bool stored) { return stored.byte != 0; }
float value_of(Half stored) { return f32_from_f16(stored.bits); }
float value_of(Brain stored) { return f32_from_bf16(stored.bits); }
template <Dtype kDtype>
float value_of(Eighth<kDtype> stored) {
  return f32_from_f8(stored.bits, kDtype);
}

template <class Stored, class Value>
Stored stored_as(Value value) {
  if constexpr (std::is_same_v<Stored, Bool>) {
    return {static_cast<uint8_t>(value != 0)};
  } else if constexpr (std::is_same_v<Stored, Half>) {
    return {f16_from_f32(static_cast<float>(value))};
  } else if constexpr (std::is_same_v<Stored, Brain>) {
    return {bf16_from_f32(static_cast<float>(value))};
  } else if constexpr (std::is_floating_point_v<Value> && std::is_integral_v<Stored>) {
    if (std::isnan(value)) return 0;
    // The largest value is rounded up by the conversion to Value, hence >=.
    if (value >= static_cast<Value>(std::numeric_limits<Stored>::max())) {
      return std::numeric_limits<Stored>::max();
    }
    if (value <= static_cast<Value>(std::numeric_limits<Stored>::min())) {
      return std::numeric_limits<Stored>::min();
    }
    return static_cast<Stored>(value);
  } else {
    return static_cast<Stored>(value);
  }
}

template <class Source, class Target>
void convert_all(const uint8_t* in, uint8_t* out, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    Source source;
    std::memcpy(&source, in + i * sizeof source, sizeof source);
    const auto target = stored_as<Target>(value_of(source));
    std::memcpy(out + i * sizeof target, &target, sizeof target);
  }
}

/// Calls with a value of the type that holds the dtype's elements; false for one without
/// arithmetic.
template <class Visit>
bool visit_target(Dtype dtype, const Visit& visit) {
  switch (dtype) {
    case Dtype::kBool:
      visit(Bool{});
      return true;
    case Dtype::kU8:
      visit(uint8_t{});
      return true;
    case Dtype::kI8:
      visit(int8_t{});
      return true;
    case Dtype::kI16:
      visit(int16_t{});
      return true;
    case Dtype::kU16:
      visit(uint16_t{});
      return true;
    case Dtype::kI32:
      visit(int32_t{});
      return true;
    case Dtype::kU32:
      visit(uint32_t{});
      return true;
    case Dtype::kI64:
      visit(int64_t{});
      return true;
    case Dtype::kU64:
      visit(uint64_t{});
      return true;
    case Dtype::kF16:
      visit(Half{});
      return true;
    case Dtype::kBF16:
      visit(Brain{});
      return true;
    case Dtype::kF32:
      visit(float{});
      return true;
    case Dtype::kF64:
      visit(double{});
      return true;
    case Dtype::kF4:
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
    case Dtype::kF8E5M2:
    case Dtype::kF8E4M3:
    case Dtype::kF8E8M0:
    case Dtype::kF8E4M3Fnuz:
    case Dtype::kF8E5M2Fnuz:
    case Dtype::kC64:
      return false;
  }
  return false;
}

template <class Visit>
bool visit_source(Dtype dtype, const Visit& visit) {
  if (dtype == Dtype::kF8E5M2) return visit(Eighth<Dtype::kF8E5M2>{}), true;
  if (dtype == Dtype::kF8E4M3) return visit(Eighth<Dtype::kF8E4M3>{}), true;
  if (dtype == Dtype::kF8E8M0) return visit(Eighth<Dtype::kF8E8M0>{}), true;
  if (dtype == Dtype::kF8E4M3Fnuz) return visit(Eighth<Dtype::kF8E4M3Fnuz>{}), true;
  if (dtype == Dtype::kF8E5M2Fnuz) return visit(Eighth<Dtype::kF8E5M2Fnuz>{}), true;
  return visit_target(dtype, visit);
}

}  // namespace

Status check_convertible(Dtype source, Dtype target) {
  const auto nothing = [](auto) {};
  if (visit_source(source, nothing) && visit_target(target, nothing)) return {};
  return fail(Code::kUsage,
              fmt::format("{} cannot be converted to {}", dtype_name(source), dtype_name(target)));
}

void convert(Dtype source, const uint8_t* in, Dtype target, uint8_t* out, uint64_t count) {
  visit_source(source, [&](auto source_element) {
    visit_target(target, [&](auto target_element) {
      convert_all<decltype(source_element), decltype(target_element)>(in, out, count);
    });
  });
}

}  // namespace cairn
