// Conversion of elements at load: between BOOL, the integers, F16, BF16, F32 and F64, and from the
// 8-bit floats to those. Rounding is to nearest even through F32, as PyTorch's `.to()` does.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"
#include "lib/dtype.h"

namespace cairn {

/// Errors: kUsage naming both dtypes (8-bit floats as targets, sub-byte elements, C64).
Status check_convertible(Dtype source, Dtype target);

/// Converts `count` elements that lie back to back. REQUIRES: check_convertible(source, target).
/// Floats that do not fit an integer saturate; NaN becomes 0.
void convert(Dtype source, const uint8_t* in, Dtype target, uint8_t* out, uint64_t count);

/// The bits of the nearest BF16 / F16; NaN stays NaN.
uint16_t bf16_from_f32(float value);
uint16_t f16_from_f32(float value);
float f32_from_bf16(uint16_t bits);
float f32_from_f16(uint16_t bits);
/// REQUIRES: `dtype` is an 8-bit float.
float f32_from_f8(uint8_t bits, Dtype dtype);

}  // namespace cairn
