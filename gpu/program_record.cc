#include "gpu/program_record.h"

#include <bit>

#include "base/replay/gradient.h"

namespace cairn::gpu {

static constexpr uint32_t kSlotBytes = sizeof(Floats4);

static OperandRecord operand(uint8_t register_number, unsigned first_scalar) {
  if (register_number >= kScalars && register_number < kTemporaries) {
    return {kSlotBytes * (first_scalar + register_number - kScalars), 0};
  }
  const unsigned own = register_number < kScalars
                           ? register_number
                           : register_number - kTemporaries + kInputRegisters;
  return {kSlotBytes * own * kProgramThreads, kSlotBytes};
}

ProgramRecord program_record(const ReplayParameters& parameters, const ReplayProgram& program,
                             ProgramPlace place) {
  ProgramRecord record{};
  record.first_scalar = kThreadSlots + (place == ProgramPlace::kSecond ? kScalarSlots : 0);
  for (size_t i = 0; i < program.step_count; ++i) {
    const ReplayStep& step = program.steps[i];
    StepRecord& to = record.steps[i];
    to.op = step.op;
    to.to = operand(step.to, record.first_scalar).first;
    to.a = operand(step.a, record.first_scalar);
    to.b = operand(step.b, record.first_scalar);
    to.c = operand(step.c, record.first_scalar);
  }
  for (size_t i = 0; i < program.scalars; ++i) {
    const auto scalar = std::bit_cast<float>(parameters.scalars[i]);
    record.scalars[i] = {{scalar, scalar, scalar, scalar}};
  }
  for (size_t i = 0; program.is_wide && i < 2; ++i) {
    const uint64_t low = parameters.scalars[program.scalars + 2 * i];
    const uint64_t high = parameters.scalars[program.scalars + 2 * i + 1];
    record.wide[i] = std::bit_cast<double>(low | high << 32);
  }
  record.step_count = program.step_count;
  record.inputs = program.bases + (program.has_gradient ? 1u : 0u);
  for (size_t i = 0; i < record.inputs; ++i) {
    record.dtypes[i] = i < program.bases ? parameters.bases[i] : ReplayDtype::kBf16;
  }
  record.result = parameters.result;
  record.has_gradient = program.has_gradient ? 1 : 0;
  if (program.has_gradient) record.faint = faint_gradient(parameters);
  return record;
}

}  // namespace cairn::gpu
