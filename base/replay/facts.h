// What is tried where a fact is not known.
#pragma once

#include <cmath>
#include <optional>
#include <vector>

#include "base/replay/replay.h"

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
inline bool is_step(std::optional<double> step) {
  return step && std::isfinite(*step) && *step >= 1;
}

}  // namespace cairn
