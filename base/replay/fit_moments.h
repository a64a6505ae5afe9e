// What predicts the second moment of Adam (fit_replay).
#pragma once

#include "base/replay/fitter.h"

namespace cairn {

void fit_second_moment(const StepFacts& facts, ReplayFitter& fitter);

}  // namespace cairn
