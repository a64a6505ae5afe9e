// A replay program (base/replay/program.h) with its scalars as kernels run it: registers have
// become places in the shared memory of a block.
//
// Every thread has each register that differs from item to item, for four items: register r of
// thread t is slot r * kProgramThreads + t. A scalar is one slot, four times the same.
#pragma once

#include <cstdint>

#include "base/replay/program.h"
#include "base/replay/replay.h"

namespace cairn::gpu {

inline constexpr unsigned kProgramThreads = 256;
inline constexpr unsigned kInputRegisters = 3;   ///< no rule has more
inline constexpr unsigned kThreadRegisters = 7;  ///< inputs, then four temporaries
inline constexpr unsigned kThreadSlots = kThreadRegisters * kProgramThreads;
inline constexpr unsigned kScalarSlots = 6;
inline constexpr unsigned kResultSlot = (kThreadRegisters - 1) * kProgramThreads;

struct alignas(16) Floats4 {
  float of[4];
};

/// In bytes from slot 0 on: that of thread t is at first + t * scale.
struct OperandRecord {
  uint32_t first, scale;
};
struct alignas(16) StepRecord {
  ReplayOp op;
  uint32_t to;  ///< a temporary of thread 0, in bytes
  OperandRecord a, b, c;
};

struct ProgramRecord {
  StepRecord steps[16];
  Floats4 scalars[kScalarSlots];
  double wide[2];
  uint32_t step_count;
  uint32_t inputs;
  ReplayDtype dtypes[kInputRegisters];
  ReplayDtype result;
  uint32_t has_gradient;
  int32_t faint;  ///< faint_gradient() of rules that have one
  uint32_t first_scalar;
};

/// Items of the inputs in device memory: bases, then the gradient.
struct InputPointers {
  uint8_t* of[kInputRegisters];
};

/// A second program that runs on the same registers has its scalars kScalarSlots after the first's.
enum class ProgramPlace : uint8_t { kFirst, kSecond };

/// REQUIRES: as many scalars as the program has, at most kInputRegisters inputs.
ProgramRecord program_record(const ReplayParameters& parameters, const ReplayProgram& program,
                             ProgramPlace place);

}  // namespace cairn::gpu
