// Runs a rule's program over items of any of the dtypes.
#pragma once

#include <span>

#include "base/replay/program.h"
#include "base/replay/replay.h"

namespace cairn {

constexpr size_t item_bytes(ReplayDtype dtype) { return dtype == ReplayDtype::kF32 ? 4 : 2; }

/// The same for every machine, whatever the thread's rounding mode.
class Predictor {
 public:
  /// REQUIRES: a known rule and variant, as many scalars as it has.
  explicit Predictor(const ReplayParameters& parameters);
  /// A program that is no rule's.
  Predictor(const ReplayParameters& parameters, const ReplayProgram& program);

  const ReplayParameters& parameters() const { return parameters_; }
  const ReplayProgram& program() const { return program_; }
  /// Bases, and the gradient where the rule has one.
  size_t inputs() const { return program_.bases + (program_.has_gradient ? 1u : 0u); }
  ReplayDtype input_dtype(size_t input) const {
    return input < program_.bases ? parameters_.bases[input] : ReplayDtype::kBf16;
  }

  /// Predicts the items from `first` on, as many as fit into `out`.
  /// REQUIRES: inputs() spans with at least those items. Threads: any.
  void predict(std::span<const ByteSpan> inputs, size_t first, MutableBytes out) const;

 private:
  ReplayParameters parameters_;
  ReplayProgram program_;
  double wide_[2] = {0, 0};
};

}  // namespace cairn
