#include "base/replay/predictor.h"

#include <algorithm>
#include <bit>

#include "base/encodings/cast.h"
#include "base/replay/float_environment.h"
#include "base/replay/ops.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

struct alignas(64) Registers {
  float values[kRegisters][kRegisterItems];

  void run(const ReplayOps& ops, const ReplayProgram& program, const double* wide) {
    for (size_t i = 0; i < program.step_count; ++i) {
      const ReplayStep& step = program.steps[i];
      ops.functions[static_cast<size_t>(step.op)](values[step.to], values[step.a], values[step.b],
                                                  values[step.c], wide);
    }
    ops.canonical(values[kResult]);
  }
};

/// Fills a register; what the items leave of it becomes 0.
void load_items(ReplayDtype dtype, ByteSpan items, float* to) {
  const size_t count = items.size() / item_bytes(dtype);
  std::fill(to + count, to + kRegisterItems, 0.0f);
  const MutableBytes floats{static_cast<uint8_t*>(static_cast<void*>(to)), count * sizeof(float)};
  if (dtype == ReplayDtype::kF32) {
    std::copy(items.begin(), items.end(), floats.begin());
  } else {
    cast_items(dtype == ReplayDtype::kBf16 ? Cast::kBf16ToF32 : Cast::kF16ToF32, items, floats);
  }
}

void store_items(ReplayDtype dtype, const float* from, MutableBytes items) {
  const ByteSpan floats = as_bytes(from, items.size() / item_bytes(dtype) * sizeof(float));
  if (dtype == ReplayDtype::kF32) {
    std::copy(floats.begin(), floats.end(), items.begin());
  } else {
    cast_items(dtype == ReplayDtype::kBf16 ? Cast::kF32ToBf16 : Cast::kF32ToF16, floats, items);
  }
}

}  // namespace

Predictor::Predictor(const ReplayParameters& parameters)
    : Predictor(parameters,
                replay_program(parameters.rule, parameters.variant).value_or(ReplayProgram{})) {}

Predictor::Predictor(const ReplayParameters& parameters, const ReplayProgram& program)
    : parameters_(parameters), program_(program) {
  if (!program_.is_wide) return;
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t low = parameters_.scalars[program_.scalars + 2 * i];
    const uint64_t high = parameters_.scalars[program_.scalars + 2 * i + 1];
    wide_[i] = std::bit_cast<double>(low | high << 32);
  }
}

void Predictor::predict(std::span<const ByteSpan> inputs, size_t first, MutableBytes out) const {
  const PlainFloats plain;
  const ReplayOps& ops = replay_ops();
  // Not initialized: a program reads what it has written, besides inputs and scalars.
  Registers registers;
  for (size_t i = 0; i < program_.scalars; ++i) {
    std::fill_n(registers.values[kScalars + i], kRegisterItems,
                std::bit_cast<float>(parameters_.scalars[i]));
  }
  const size_t width = item_bytes(parameters_.result), items = out.size() / width;
  for (size_t done = 0; done < items; done += kRegisterItems) {
    const size_t count = std::min(kRegisterItems, items - done);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const size_t bytes = item_bytes(input_dtype(i));
      load_items(input_dtype(i), inputs[i].subspan((first + done) * bytes, count * bytes),
                 registers.values[kInputs + i]);
    }
    registers.run(ops, program_, wide_);
    store_items(parameters_.result, registers.values[kResult],
                out.subspan(done * width, count * width));
  }
}

}  // namespace cairn
