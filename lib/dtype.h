// Element types: those safetensors knows, with the names it gives them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace cairn {

/// The values go to disk (docs/FORMAT.md, section 9): they never change.
enum class Dtype : uint8_t {
  kBool = 1,
  kF4 = 2,
  kF6E2M3 = 3,
  kF6E3M2 = 4,
  kU8 = 5,
  kI8 = 6,
  kF8E5M2 = 7,
  kF8E4M3 = 8,
  kF8E8M0 = 9,
  kF8E4M3Fnuz = 10,
  kF8E5M2Fnuz = 11,
  kI16 = 12,
  kU16 = 13,
  kF16 = 14,
  kBF16 = 15,
  kI32 = 16,
  kU32 = 17,
  kF32 = 18,
  kC64 = 19,
  kF64 = 20,
  kI64 = 21,
  kU64 = 22,
};

/// The name in safetensors files, e.g. "BF16"; "unknown" for a code that is none.
std::string_view dtype_name(Dtype dtype);
std::optional<Dtype> dtype_of_name(std::string_view name);
/// 0 for a code that is none.
uint32_t bits_per_element(Dtype dtype);
/// Floating point of any width, complex included.
bool is_float(Dtype dtype);

}  // namespace cairn
