// The two numbers of a step of Adam, from what it did to the parameters.
#pragma once

#include <optional>
#include <span>

namespace cairn {

/// new = old - decay * old - size * direction, about.
struct StepSize {
  double decay = 0;
  double size = 0;
};

/// By least squares, heavier where the parameters are more precise, without what does not fit.
/// nullopt where the items do not tell. REQUIRES: spans of one length.
std::optional<StepSize> solve_step(std::span<const float> items, std::span<const float> old,
                                   std::span<const double> directions);

}  // namespace cairn
