// The factor that BF16 gradients were clipped with, from what they did to a first moment.
#pragma once

#include <span>
#include <vector>

namespace cairn {

/// Factors (F32, between 1/2 and 1, for a BF16 number times a power of two is one too) that make
/// all gradients BF16, likely ones first. Empty when they were not BF16, or when there are too few
/// to tell. REQUIRES: as many of `old_moments` as of `moments`.
std::vector<float> likely_clips(std::span<const float> moments, std::span<const float> old_moments,
                                float weight);

}  // namespace cairn
