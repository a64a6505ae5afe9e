// What predicts items from a BF16 gradient that is stored beside them (fit_replay).
#pragma once

#include <vector>

#include "base/replay/clip.h"
#include "base/replay/fitter.h"

namespace cairn {

/// First moments and momentum buffers.
void fit_first_moment(const StepFacts& facts, ReplayFitter& fitter);
/// The same of optimizers that add weight decay to the gradient.
void fit_decayed_first_moment(const StepFacts& facts, ReplayFitter& fitter);
/// Parameters: of SGD without momentum, and of Muon, whose update is BF16.
void fit_gradient_parameter(const StepFacts& facts, ReplayFitter& fitter);

/// The factor that is known, then what the state says of it.
std::vector<float> clips_of(const StepFacts& facts, const GradientSource& source);

}  // namespace cairn
