#include "lib/step_facts.h"

#include <gtest/gtest.h>

#include "tests/support/outcome.h"

namespace cairn {
namespace {

TensorSource scalar(std::string name, std::string parameter, const float& value) {
  return {.name = std::move(name),
          .dtype = Dtype::kF32,
          .data = &value,
          .role = Role::kStep,
          .parameter = std::move(parameter)};
}

std::optional<double> step_of(const SaveRequest& request, size_t tensor) {
  const auto plan = plan_save(request, {});
  EXPECT_TRUE(succeeds(plan));
  return step_facts_of(request, *plan)[tensor].step;
}

TEST(StepFacts, AStepInTheCheckpointCounts) {
  const float of_all = 7, of_w = 9;
  const std::vector<float> weights(8);
  SaveRequest request;
  for (const char* name : {"v", "w"}) {
    request.tensors.push_back({.name = name,
                               .dtype = Dtype::kF32,
                               .shape = {8},
                               .box = whole_box({8}),
                               .data = weights.data(),
                               .role = Role::kWeight,
                               .parameter = name});
  }
  EXPECT_EQ(step_of(request, 0), std::nullopt);
  request.optimizer.common.step = 3;
  EXPECT_EQ(step_of(request, 0), 3);
  request.tensors.push_back(scalar("x.step", "", of_all));
  EXPECT_EQ(step_of(request, 0), 7) << "one of no parameter is that of all";
  request.tensors.push_back(scalar("y.step", "w", of_w));
  EXPECT_EQ(step_of(request, 0), 7);
  EXPECT_EQ(step_of(request, 1), 9) << "its own counts more";
}

}  // namespace
}  // namespace cairn
