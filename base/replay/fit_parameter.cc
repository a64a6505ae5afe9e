#include "base/replay/fit_parameter.h"

#include <bit>

#include "base/replay/facts.h"
#include "base/replay/rules.h"

namespace cairn {

namespace {

/// Whether it may be that optimizer. One that keeps second moments is asked about in other rules,
/// so that its name says nothing of parameters without them.
bool may_be(OptimizerKind kind, const StepFacts& facts) {
  return !facts.optimizer || *facts.optimizer == kind || *facts.optimizer == OptimizerKind::kAdam ||
         *facts.optimizer == OptimizerKind::kAdamW;
}

}  // namespace

void fit_sgd_parameter(ReplayRule rule, const StepFacts& facts, ReplayFitter& fitter) {
  if (!facts.lr || !may_be(OptimizerKind::kSgd, facts)) return;
  const bool rounds = fitter.sample().dtype() == ReplayDtype::kBf16;
  for (const double lr : {*facts.lr, bf16_number(*facts.lr)}) {
    if (lr != *facts.lr && !rounds) continue;
    if (rule == ReplayRule::kSgdParameter) {
      for (const uint8_t variant : {uint8_t{0}, uint8_t{1}}) {
        fitter.attempt(variant, {scalar_bits(lr)});
      }
      continue;
    }
    for (const double momentum : known_or(facts.momentum, {0.9, 0.95, 0.99})) {
      for (uint8_t variant = 0; variant < 4; ++variant) {
        fitter.attempt(variant, {scalar_bits(lr), scalar_bits(momentum)});
      }
    }
  }
}

void fit_lion_parameter(const StepFacts& facts, ReplayFitter& fitter) {
  if (!facts.lr || !may_be(OptimizerKind::kLion, facts)) return;
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
