// The operations of programs over whole registers, one table for each instruction set. Every table
// gives the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "base/replay/program.h"

namespace cairn {

/// Floats in a register: all registers of a program stay in the first-level cache.
inline constexpr size_t kRegisterItems = 256;

/// `to` may be one of the others. `wide` are x and y. All at multiples of 64 bytes.
using ReplayOpFunction = void (*)(float* to, const float* a, const float* b, const float* c,
                                  const double* wide);

struct ReplayOps {
  std::string_view name;
  std::array<ReplayOpFunction, kReplayOps> functions;
  void (*canonical)(float* values);  ///< every NaN becomes 0x7fc00000
};

extern const ReplayOps kReplayOpsPortable;
extern const ReplayOps kReplayOpsAvx2;    ///< needs AVX2 and FMA
extern const ReplayOps kReplayOpsAvx512;  ///< needs AVX-512 F, VL, BW, DQ

/// The widest that the processor has, or what use_replay_ops named.
const ReplayOps& replay_ops();
/// For tests and measurements: "portable", "avx2", "avx512" or "auto". False when the processor
/// lacks it. Threads: none may be coding.
bool use_replay_ops(std::string_view name);

}  // namespace cairn
