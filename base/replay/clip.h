// The factor that BF16 gradients were clipped with, from what they did to the state.
#pragma once

#include <span>
#include <vector>

namespace cairn {

/// A gradient times its factor, as the state gives it back.
struct SeenGradient {
  double value = 0;
  double error = 0;  ///< what roundings may have made of it, at most
};

/// Of items that are kept * old + taken * (gradient + decay * decayed), each rounded to F32; where
/// kept and taken sum up to 1, as an average is made. `decayed` may be empty.
struct GradientSource {
  double kept = 0, taken = 1, decay = 0;
  std::span<const float> items, old, decayed = {};
};
std::vector<SeenGradient> seen_gradients(const GradientSource& source);

/// Factors (F32, between 1/2 and 1, for a BF16 number times a power of two is one too) that make
/// all gradients BF16, likely ones first. Empty when they were not BF16, or when there are too few
/// to tell.
std::vector<float> likely_clips(const std::vector<SeenGradient>& seen);

}  // namespace cairn
