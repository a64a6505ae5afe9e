#include "base/replay/fit_parameter.h"

#include <bit>

#include "base/replay/facts.h"
#include "base/replay/rules.h"

namespace cairn {

void fit_sgd_parameter(ReplayRule rule, const StepFacts& facts, ReplayFitter& fitter) {
  if (!facts.lr) return;
  const uint32_t lr = scalar_bits(*facts.lr);
  if (rule == ReplayRule::kSgdParameter) {
    for (const uint8_t variant : {uint8_t{0}, uint8_t{1}}) fitter.attempt(variant, {lr});
    return;
  }
  for (const double momentum : known_or(facts.momentum, {0.9, 0.95, 0.99})) {
    for (uint8_t variant = 0; variant < 4; ++variant) {
      fitter.attempt(variant, {lr, scalar_bits(momentum)});
    }
  }
}

void fit_lion_parameter(const StepFacts& facts, ReplayFitter& fitter) {
  if (!facts.lr) return;
  const double decay = 1 - *facts.lr * facts.weight_decay.value_or(0);
  for (const double beta1 : known_or(facts.beta1, {0.9, 0.95})) {
    for (const double beta2 : known_or(facts.beta2, {0.99, 0.98})) {
      for (const uint8_t variant : {uint8_t{0}, uint8_t{1}}) {
        fitter.attempt(variant, {scalar_bits(*facts.lr), scalar_bits(1 - beta1),
                                 scalar_bits(1 - beta2), scalar_bits(decay)});
      }
    }
  }
}

}  // namespace cairn
