// Runs replay programs, four items a thread. For kernels.
#pragma once

#include "base/encodings/item_math.h"
#include "base/replay/op_bits.h"
#include "base/replay/predictor.h"
#include "gpu/kernel.h"
#include "gpu/program_record.h"

namespace cairn::gpu {

/// Registers of a block of kProgramThreads, with the scalars of up to two programs.
struct ProgramRegisters {
  Floats4 slots[kThreadSlots + 2 * kScalarSlots];
};

/// The operations of base/replay/ops_loops.h; a device may fuse none that is not written fused.
template <ReplayOp kOp>
CAIRN_DEVICE float apply_op(float a, float b, float c, double x, double y) {
  if constexpr (kOp == ReplayOp::kAdd) return __fadd_rn(a, b);
  if constexpr (kOp == ReplayOp::kSub) return __fsub_rn(a, b);
  if constexpr (kOp == ReplayOp::kMul) return __fmul_rn(a, b);
  if constexpr (kOp == ReplayOp::kDiv) return __fdiv_rn(a, b);
  if constexpr (kOp == ReplayOp::kSqrt) return __fsqrt_rn(a);
  if constexpr (kOp == ReplayOp::kFma) return __fmaf_rn(a, b, c);
  if constexpr (kOp == ReplayOp::kFnma) return __fmaf_rn(-a, b, c);
  if constexpr (kOp == ReplayOp::kMax) return a < b ? b : a;
  if constexpr (kOp == ReplayOp::kSign) return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
  if constexpr (kOp == ReplayOp::kBf16) {
    return __uint_as_float(rounded_to_bf16(__float_as_uint(a)));
  }
  if constexpr (kOp == ReplayOp::kLin64) {
    return __double2float_rn(__dadd_rn(__dmul_rn(x, a), __dmul_rn(y, b)));
  }
  if constexpr (kOp == ReplayOp::kSqr64) {
    return __double2float_rn(__dadd_rn(__dmul_rn(x, a), __dmul_rn(__dmul_rn(y, b), b)));
  }
}

CAIRN_DEVICE const Floats4& operand(const Floats4* slots, OperandRecord record) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(slots);
  return *aligned<const Floats4>(bytes + record.first + threadIdx.x * record.scale);
}

/// Reads what the operation takes and no more: scratch memory is what limits a program.
template <ReplayOp kOp>
CAIRN_DEVICE void take_step(Floats4* slots, const StepRecord& step, const double* wide) {
  constexpr bool kTakesOne =
      kOp == ReplayOp::kSqrt || kOp == ReplayOp::kSign || kOp == ReplayOp::kBf16;
  constexpr bool kTakesThree = kOp == ReplayOp::kFma || kOp == ReplayOp::kFnma;
  constexpr bool kIsWide = kOp == ReplayOp::kLin64 || kOp == ReplayOp::kSqr64;
  const Floats4 a = operand(slots, step.a);
  const Floats4 b = kTakesOne ? a : operand(slots, step.b);
  const Floats4 c = kTakesThree ? operand(slots, step.c) : a;
  const double x = kIsWide ? wide[0] : 0, y = kIsWide ? wide[1] : 0;
  Floats4 result;
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) result.of[i] = apply_op<kOp>(a.of[i], b.of[i], c.of[i], x, y);
  auto* const to = reinterpret_cast<uint8_t*>(slots) + step.to;
  aligned<Floats4>(to)[threadIdx.x] = result;
}

CAIRN_DEVICE void take_any_step(Floats4* slots, const StepRecord& step, const double* wide) {
  switch (step.op) {
    case ReplayOp::kAdd:
      return take_step<ReplayOp::kAdd>(slots, step, wide);
    case ReplayOp::kSub:
      return take_step<ReplayOp::kSub>(slots, step, wide);
    case ReplayOp::kMul:
      return take_step<ReplayOp::kMul>(slots, step, wide);
    case ReplayOp::kDiv:
      return take_step<ReplayOp::kDiv>(slots, step, wide);
    case ReplayOp::kSqrt:
      return take_step<ReplayOp::kSqrt>(slots, step, wide);
    case ReplayOp::kFma:
      return take_step<ReplayOp::kFma>(slots, step, wide);
    case ReplayOp::kFnma:
      return take_step<ReplayOp::kFnma>(slots, step, wide);
    case ReplayOp::kMax:
      return take_step<ReplayOp::kMax>(slots, step, wide);
    case ReplayOp::kSign:
      return take_step<ReplayOp::kSign>(slots, step, wide);
    case ReplayOp::kBf16:
      return take_step<ReplayOp::kBf16>(slots, step, wide);
    case ReplayOp::kLin64:
      return take_step<ReplayOp::kLin64>(slots, step, wide);
    case ReplayOp::kSqr64:
      return take_step<ReplayOp::kSqr64>(slots, step, wide);
  }
}

/// What the thread's inputs give, each NaN canonical. Each thread uses its own registers, so no two
/// wait for each other. REQUIRES: the program's scalars in their slots.
CAIRN_DEVICE Floats4 run_program(Floats4* slots, const ProgramRecord& program) {
#pragma unroll 1
  for (unsigned i = 0; i < program.step_count; ++i) {
    take_any_step(slots, program.steps[i], program.wide);
  }
  Floats4 result = slots[kResultSlot + threadIdx.x];
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
    result.of[i] = __uint_as_float(canonical(__float_as_uint(result.of[i])));
  }
  return result;
}

/// Four items of an input as they lie in memory, and zeros for those from `count` on.
struct RawItems4 {
  unsigned words[4];  ///< of items of 2 bytes only the first two
};

/// REQUIRES: `items` at a multiple of four items.
CAIRN_DEVICE RawItems4 load_items4(ReplayDtype dtype, const uint8_t* items, unsigned count) {
  RawItems4 raw{};
  if (dtype == ReplayDtype::kF32) {
    if (count == 4) {
      const uint4 all = *aligned<const uint4>(items);
      return {{all.x, all.y, all.z, all.w}};
    }
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      if (i < count) raw.words[i] = aligned<const unsigned>(items)[i];
    }
  } else {
    if (count == 4) {
      const uint2 both = *aligned<const uint2>(items);
      return {{both.x, both.y, 0, 0}};
    }
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      if (i >= count) continue;
      raw.words[i / 2] |= unsigned{aligned<const uint16_t>(items)[i]} << (16 * (i % 2));
    }
  }
  return raw;
}

CAIRN_DEVICE uint16_t half_of(const RawItems4& raw, unsigned i) {
  return static_cast<uint16_t>(raw.words[i / 2] >> (16 * (i % 2)));
}

CAIRN_DEVICE Floats4 floats_of(ReplayDtype dtype, const RawItems4& raw) {
  Floats4 floats;
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned bits = dtype == ReplayDtype::kF32    ? raw.words[i]
                          : dtype == ReplayDtype::kBf16 ? f32_of_bf16(half_of(raw, i))
                                                        : f32_of_f16(half_of(raw, i));
    floats.of[i] = __uint_as_float(bits);
  }
  return floats;
}

/// The item that a result becomes.
CAIRN_DEVICE uint32_t item_of(ReplayDtype dtype, float result) {
  const unsigned bits = __float_as_uint(result);
  if (dtype == ReplayDtype::kF32) return bits;
  return dtype == ReplayDtype::kBf16 ? bf16_of(bits) : f16_of(bits);
}

CAIRN_DEVICE void set_input(Floats4* slots, unsigned input, const Floats4& floats) {
  slots[input * kProgramThreads + threadIdx.x] = floats;
}

/// Fills the thread's registers of the first `inputs` inputs from item `first` of each on. All
/// loads are under way before the first is waited for.
CAIRN_DEVICE void load_inputs(Floats4* slots, const ProgramRecord& program, unsigned inputs,
                              const InputPointers& from, uint64_t first, unsigned count) {
  RawItems4 raw[kInputRegisters];
#pragma unroll
  for (unsigned i = 0; i < kInputRegisters; ++i) {
    if (i >= inputs) continue;
    const ReplayDtype dtype = program.dtypes[i];
    raw[i] = load_items4(dtype, from.of[i] + first * item_bytes(dtype), count);
  }
#pragma unroll
  for (unsigned i = 0; i < kInputRegisters; ++i) {
    if (i < inputs) set_input(slots, i, floats_of(program.dtypes[i], raw[i]));
  }
}

/// Brings a program and its scalars into the block's memory, whole words by many threads.
/// REQUIRES: a barrier before they are used, and one between their last use and this.
CAIRN_DEVICE void load_program(const ProgramRecord& from, ProgramRecord& to, Floats4* slots) {
  constexpr unsigned kQuads = sizeof(ProgramRecord) / 16;
  static_assert(kQuads * 16 == sizeof(ProgramRecord) && kQuads <= kProgramThreads);
  if (threadIdx.x < kQuads) {
    reinterpret_cast<uint4*>(&to)[threadIdx.x] = reinterpret_cast<const uint4*>(&from)[threadIdx.x];
  }
  if (threadIdx.x < kScalarSlots) {
    slots[from.first_scalar + threadIdx.x] = from.scalars[threadIdx.x];
  }
}

}  // namespace cairn::gpu
