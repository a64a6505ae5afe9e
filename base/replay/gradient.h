// The BF16 gradient that items were made with, found again by the encoder.
#pragma once

#include <span>

#include "base/replay/predictor.h"

namespace cairn {

/// Items are looked at in runs of so many: where one run has a faint gradient, no gradient at all
/// is tried for each of its items.
inline constexpr size_t kGradientRun = 4096;

/// How much smaller than the item before a gradient's exponent must be for it to be faint: it may
/// be what rounding left of none.
int faint_gradient(const ReplayParameters& parameters);

/// Beside a guess that does not give the item, these are tried: the next ones of both sides.
inline constexpr unsigned kGradientNeighbours = 4;
constexpr int gradient_neighbour(unsigned attempt) {
  const int distance = 1 + static_cast<int>(attempt / 2);
  return attempt % 2 == 0 ? distance : -distance;
}

/// For each item the BF16 gradient with which the rule gives the item, or comes close to it. 0
/// where that does: nothing is cheaper to store. REQUIRES: a rule with a gradient; `bases` without
/// it. Threads: any.
Bytes find_gradient(const Predictor& predictor, const ReplayParameters& parameters, ByteSpan items,
                    std::span<const ByteSpan> bases);

}  // namespace cairn
