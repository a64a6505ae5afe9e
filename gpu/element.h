// Elements of dtypes, converted as lib/convert.h does: floats through F32, to nearest even, into
// integers with saturation; the same bits, those of NaNs too. For kernels and who calls them.
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
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
};

constexpr bool is_float(Element element) {
  return element >= Element::kF8E5M2 && element <= Element::kF64;
}
constexpr bool is_integer(Element element) { return element >= Element::kBool; }
/// Whether other elements can become such.
constexpr bool is_target(Element element) { return element >= Element::kF16; }

constexpr unsigned element_bytes(Element element) {
  const auto is_one_of = [element](Element a, Element b, Element c) {
    return element == a || element == b || element == c;
  };
  if (is_one_of(Element::kF64, Element::kU64, Element::kI64)) return 8;
  if (is_one_of(Element::kF32, Element::kU32, Element::kI32)) return 4;
  if (is_one_of(Element::kF16, Element::kU16, Element::kI16)) return 2;
  return element == Element::kBF16 ? 2 : 1;
}

}  // namespace cairn::gpu
