#include "base/replay/step_size.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace cairn {
namespace {

constexpr size_t kFewestItems = 8;

/// One equation, in units of the item's last place.
struct Equation {
  double change = 0, old = 0, direction = 0;

  double residual(const StepSize& step) const {
    return std::abs(change + step.decay * old + step.size * direction);
  }
};

std::vector<Equation> equations_of(std::span<const float> items, std::span<const float> old,
                                   std::span<const double> directions) {
  std::vector<Equation> equations;
  for (size_t i = 0; i < items.size(); ++i) {
    const double now = items[i], before = old[i];
    const double unit = std::max(std::abs(now), std::abs(before));
    if (!std::isfinite(unit) || unit < 1e-30 || !std::isfinite(directions[i])) continue;
    if (directions[i] == 0 && now == before) continue;  // rests
    const double weight = 1 / std::ldexp(1.0, std::ilogb(unit) - 23);
    equations.push_back({(now - before) * weight, before * weight, directions[i] * weight});
  }
  return equations;
}

std::optional<StepSize> solve(const std::vector<Equation>& equations, double largest,
                              const StepSize& around) {
  double aa = 0, ab = 0, bb = 0, ay = 0, by = 0;
  size_t count = 0;
  for (const Equation& e : equations) {
    if (e.residual(around) > largest) continue;
    aa += e.old * e.old;
    ab += e.old * e.direction;
    bb += e.direction * e.direction;
    ay -= e.old * e.change;
    by -= e.direction * e.change;
    ++count;
  }
  const double determinant = aa * bb - ab * ab;
  if (count < kFewestItems || !(determinant > 1e-9 * aa * bb)) return std::nullopt;
  return StepSize{(ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant};
}

}  // namespace

std::optional<StepSize> solve_step(std::span<const float> items, std::span<const float> old,
                                   std::span<const double> directions) {
  const std::vector<Equation> equations = equations_of(items, old, directions);
  std::optional<StepSize> step =
      solve(equations, std::numeric_limits<double>::infinity(), StepSize{});
  for (int round = 0; step && round < 3; ++round) {
    std::vector<double> residuals;
    for (const Equation& e : equations) residuals.push_back(e.residual(*step));
    const auto middle = residuals.begin() + static_cast<ptrdiff_t>(residuals.size() / 2);
    std::nth_element(residuals.begin(), middle, residuals.end());
    step = solve(equations, std::max(1.0, 6 * *middle), *step);
  }
  return step;
}

}  // namespace cairn
