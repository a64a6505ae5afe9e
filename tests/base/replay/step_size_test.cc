#include "base/replay/step_size.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace cairn {
namespace {

struct Steps {
  std::vector<float> items, old;
  std::vector<double> directions;
};

Steps make_steps(size_t count, double decay, double size) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  Steps steps;
  for (size_t i = 0; i < count; ++i) {
    const auto old = static_cast<float>(normal(random) * 0.02);
    const double direction = normal(random);
    steps.old.push_back(old);
    steps.directions.push_back(direction);
    steps.items.push_back(static_cast<float>(old - decay * old - size * direction));
  }
  return steps;
}

TEST(StepSizeTest, TellsDecayAndSize) {
  const Steps steps = make_steps(5000, 1e-4, 1e-3);
  const auto solved = solve_step(steps.items, steps.old, steps.directions);
  ASSERT_TRUE(solved);
  EXPECT_NEAR(solved->size, 1e-3, 1e-9);
  EXPECT_NEAR(solved->decay, 1e-4, 1e-8);
}

TEST(StepSizeTest, IsNotMisledByAFewItems) {
  Steps steps = make_steps(5000, 1e-4, 1e-3);
  for (size_t i = 0; i < steps.items.size(); i += 50) steps.items[i] += 0.5f;
  steps.items[7] = NAN;
  steps.directions[8] = INFINITY;
  const auto solved = solve_step(steps.items, steps.old, steps.directions);
  ASSERT_TRUE(solved);
  EXPECT_NEAR(solved->size, 1e-3, 1e-8);
}

TEST(StepSizeTest, SaysNothingWhereNothingTells) {
  const std::vector<float> zeros(100, 0.0f), ones(100, 1.0f);
  const std::vector<double> rest(100, 0.0);
  EXPECT_FALSE(solve_step(zeros, zeros, rest));
  EXPECT_FALSE(solve_step(ones, ones, rest));
  EXPECT_FALSE(solve_step({}, {}, {}));
}

}  // namespace
}  // namespace cairn
