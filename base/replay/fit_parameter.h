// What predicts parameters (fit_replay).
#pragma once

#include "base/replay/fitter.h"

namespace cairn {

void fit_adam_parameter(const StepFacts& facts, ReplayFitter& fitter);
/// Also Nesterov's.
void fit_sgd_parameter(ReplayRule rule, const StepFacts& facts, ReplayFitter& fitter);
void fit_lion_parameter(const StepFacts& facts, ReplayFitter& fitter);

}  // namespace cairn
