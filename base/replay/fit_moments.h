// What predicts the moments of Adam (fit_replay).
#pragma once

#include "base/replay/fitter.h"

namespace cairn {

void fit_second_moment(const StepFacts& facts, ReplayFitter& fitter);
void fit_first_moment(const StepFacts& facts, ReplayFitter& fitter);

}  // namespace cairn
