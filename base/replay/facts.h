// What is tried where a fact is not known.
#pragma once

#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "base/replay/fitter.h"

namespace cairn {

inline std::vector<double> known_or(std::optional<double> fact, std::vector<double> usual) {
  if (fact) return {*fact};
  return usual;
}
inline std::vector<double> first_betas(const StepFacts& facts) {
  return known_or(facts.beta1, {0.9, 0.95, 0.8, 0.98, 0.99});
}
inline std::vector<double> second_betas(const StepFacts& facts) {
  return known_or(facts.beta2, {0.999, 0.95, 0.98, 0.99, 0.9, 0.9999});
}
inline std::vector<double> usual_eps(const StepFacts& facts) {
  return known_or(facts.eps, {1e-8, 1e-10, 1e-15, 1e-6, 1e-5});
}
/// 1 - beta as Python makes it, and as trainers that work in F32 do.
inline std::vector<uint32_t> complements(double beta) {
  const uint32_t exact = scalar_bits(1 - beta);
  const auto in_f32 = std::bit_cast<uint32_t>(1.0f - static_cast<float>(beta));
  if (exact == in_f32) return {exact};
  return {exact, in_f32};
}
/// As trainers that keep everything in BF16 may round their numbers too. REQUIRES: a finite one.
inline double bf16_number(double number) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(number));
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}
inline bool is_step(std::optional<double> step) {
  return step && std::isfinite(*step) && *step >= 1;
}

}  // namespace cairn
