// A gradient as the items that it went into give it back, about.
#pragma once

#include "base/replay/predictor.h"

namespace cairn {

/// Guesses BF16 gradients from inputs: the items, then the bases. REQUIRES: a rule with a gradient.
Predictor gradient_guesser(const ReplayParameters& parameters);

/// The exponent of what a gradient of 1 adds to an item.
int gradient_exponent(const ReplayParameters& parameters);

}  // namespace cairn
