// What operations of replay programs do to the bits of an F32, for processors and devices alike. In
// an anonymous namespace: files compiled for wider machines include this.
#pragma once

#include <cstdint>

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

inline constexpr uint32_t kCanonicalNan = 0x7fc00000;

constexpr bool is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }
/// Every NaN becomes one and the same.
constexpr uint32_t canonical(uint32_t bits) { return is_nan(bits) ? kCanonicalNan : bits; }
/// Rounded to BF16, in F32.
constexpr uint32_t rounded_to_bf16(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  return is_nan(bits) ? kCanonicalNan : rounded;
}

}  // namespace
}  // namespace cairn
