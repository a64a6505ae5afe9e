// The operations as plain loops, which the compiler turns into the instructions of the file that
// includes this. Compiled without contraction of products and sums: kFma and kFnma alone are fused.
#pragma once

#include <bit>
#include <cstdint>

#include "base/replay/op_bits.h"
#include "base/replay/ops.h"

namespace cairn {
// Not shared between files: each has its own instructions. Builtins, not <cmath>, for the same
// reason.
namespace {

inline uint32_t bits_of(float value) { return __builtin_bit_cast(uint32_t, value); }
inline float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }

template <ReplayOp kOp>
inline float apply(float a, float b, float c, double x, double y) {
  if constexpr (kOp == ReplayOp::kAdd) return a + b;
  if constexpr (kOp == ReplayOp::kSub) return a - b;
  if constexpr (kOp == ReplayOp::kMul) return a * b;
  if constexpr (kOp == ReplayOp::kDiv) return a / b;
  if constexpr (kOp == ReplayOp::kSqrt) return __builtin_sqrtf(a);
  if constexpr (kOp == ReplayOp::kFma) return __builtin_fmaf(a, b, c);
  if constexpr (kOp == ReplayOp::kFnma) return __builtin_fmaf(-a, b, c);
  if constexpr (kOp == ReplayOp::kMax) return a < b ? b : a;
  if constexpr (kOp == ReplayOp::kSign) return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
  if constexpr (kOp == ReplayOp::kBf16) return float_of(rounded_to_bf16(bits_of(a)));
  if constexpr (kOp == ReplayOp::kLin64) return static_cast<float>(x * a + y * b);
  if constexpr (kOp == ReplayOp::kSqr64) return static_cast<float>(x * a + (y * b) * b);
}

template <ReplayOp kOp>
void loop(float* to, const float* a, const float* b, const float* c, const double* wide) {
  to = static_cast<float*>(__builtin_assume_aligned(to, 64));
  a = static_cast<const float*>(__builtin_assume_aligned(a, 64));
  b = static_cast<const float*>(__builtin_assume_aligned(b, 64));
  c = static_cast<const float*>(__builtin_assume_aligned(c, 64));
  const double x = wide[0], y = wide[1];
#pragma GCC ivdep
  for (size_t i = 0; i < kRegisterItems; ++i) to[i] = apply<kOp>(a[i], b[i], c[i], x, y);
}

void canonical_loop(float* values) {
  values = static_cast<float*>(__builtin_assume_aligned(values, 64));
  for (size_t i = 0; i < kRegisterItems; ++i) {
    values[i] = float_of(canonical(bits_of(values[i])));
  }
}

constexpr std::array<ReplayOpFunction, kReplayOps> kLoops = {
    loop<ReplayOp::kAdd>,  loop<ReplayOp::kSub>,  loop<ReplayOp::kMul>,   loop<ReplayOp::kDiv>,
    loop<ReplayOp::kSqrt>, loop<ReplayOp::kFma>,  loop<ReplayOp::kFnma>,  loop<ReplayOp::kMax>,
    loop<ReplayOp::kSign>, loop<ReplayOp::kBf16>, loop<ReplayOp::kLin64>, loop<ReplayOp::kSqr64>,
};

}  // namespace
}  // namespace cairn
