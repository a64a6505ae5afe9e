// The BF16 gradient that items were made with, found again by the encoder.
#pragma once

#include <span>

#include "base/replay/predictor.h"

namespace cairn {

/// For each item the BF16 gradient with which the rule gives the item, or comes close to it. 0
/// where that does: nothing is cheaper to store. REQUIRES: a rule with a gradient; `bases` without
/// it. Threads: any.
Bytes find_gradient(const Predictor& predictor, const ReplayParameters& parameters, ByteSpan items,
                    std::span<const ByteSpan> bases);

}  // namespace cairn
