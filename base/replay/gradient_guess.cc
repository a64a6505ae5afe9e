#include "base/replay/gradient_guess.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cairn {
namespace {

constexpr float kAverage = 0x1p-20f;  // as far from 1 two weights of an average sum up
constexpr int kExponentMax = 256;

/// items = kept * past + taken * (clip * gradient + decay * decayed), but for its roundings.
struct Step {
  float kept = 0, taken = 1, clip = 1, decay = 0;
  uint8_t decayed = 0;  ///< which input the decay is of; 0: there is none
};

Step step_of(const ReplayParameters& parameters) {
  const auto number = [&](size_t i) { return std::bit_cast<float>(parameters.scalars[i]); };
  if (parameters.rule == ReplayRule::kGradientParameter) {
    return {number(2), -number(0), number(1), number(3), 1};
  }
  Step step{number(1), number(0), number(2)};
  if (parameters.rule == ReplayRule::kDecayedFirstMoment) {
    step.decay = number(3);
    step.decayed = 2;
  }
  return step;
}

}  // namespace

Predictor gradient_guesser(const ReplayParameters& parameters) {
  const Step step = step_of(parameters);
  ReplayProgram program{.scalars = 4};
  constexpr uint8_t kTaken = kScalars, kInverse = kScalars + 1, kKept = kScalars + 2,
                    kDecay = kScalars + 3;
  if (std::abs(step.kept + step.taken - 1) < kAverage) {  // the difference loses less
    program.add(ReplayOp::kSub, kResult, 0, 1);
    program.add(ReplayOp::kDiv, kResult, kResult, kTaken);
    program.add(ReplayOp::kAdd, kResult, 1, kResult);
  } else {
    program.add(ReplayOp::kFnma, kResult, kKept, 1, 0);
    program.add(ReplayOp::kDiv, kResult, kResult, kTaken);
  }
  if (step.decayed != 0) program.add(ReplayOp::kFnma, kResult, kDecay, step.decayed, kResult);
  program.add(ReplayOp::kMul, kResult, kResult, kInverse);
  ReplayParameters guess = parameters;
  guess.result = ReplayDtype::kBf16;
  guess.bases = {parameters.result, parameters.bases[0], parameters.bases[1]};
  guess.scalars.clear();
  for (const float value : {step.taken, 1.0f / step.clip, step.kept, step.decay}) {
    guess.scalars.push_back(std::bit_cast<uint32_t>(value));
  }
  program.bases = static_cast<uint8_t>(1 + base_count(parameters.rule));
  return Predictor(guess, program);
}

int gradient_exponent(const ReplayParameters& parameters) {
  const Step step = step_of(parameters);
  const auto exponent = [](float value) {
    return std::clamp(std::ilogb(value), -kExponentMax, kExponentMax);
  };
  return exponent(step.clip) + exponent(step.taken);
}

}  // namespace cairn
