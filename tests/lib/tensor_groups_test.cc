#include "lib/tensor_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace cairn {
namespace {

std::vector<std::string> labels(const TensorGroups& groups) {
  std::vector<std::string> labels;
  for (const TensorGroup& group : groups.groups) {
    labels.push_back(group.tensor_class + ":" + group.label);
  }
  return labels;
}

/// Weights and moments of a transformer.
std::vector<NamedTensor> model(int layers) {
  std::vector<NamedTensor> tensors;
  for (int layer = 0; layer < layers; ++layer) {
    for (const std::string part : {"attn.q", "attn.k", "mlp.up", "norm"}) {
      const std::string name = "layers." + std::to_string(layer) + "." + part;
      tensors.push_back({name, "weight", name});
      tensors.push_back({"exp_avg." + name, "exp_avg", name});
    }
  }
  return tensors;
}

TEST(TensorGroups, EachAloneInNaturalOrder) {
  const auto groups = group_tensors({{"h.10.w", "weight", "h.10.w"},
                                     {"rng", "other", ""},
                                     {"m.h.2", "exp_avg", "h.2"},
                                     {"h.2.w", "weight", "h.2.w"}},
                                    4);
  EXPECT_THAT(labels(groups), ::testing::ElementsAre("weight:h.2.w", "weight:h.10.w",
                                                     "exp_avg:m.h.2", "other:rng"));
  EXPECT_THAT(groups.group_of, ::testing::ElementsAre(1, 3, 2, 0));
  EXPECT_EQ(groups.groups[0].tensors, 1u);
}

TEST(TensorGroups, NothingIsNoGroup) { EXPECT_TRUE(group_tensors({}, 200).groups.empty()); }

TEST(TensorGroups, TheFinestGroupingThatFits) {
  const auto tensors = model(32);  // 256 tensors
  for (const size_t groups_max : {2u, 3u, 8u, 20u, 70u, 200u}) {
    const auto groups = group_tensors(tensors, groups_max);
    EXPECT_LE(groups.groups.size(), groups_max);
    EXPECT_GT(groups.groups.size() * 4, groups_max) << "room is left unused";
    std::multiset<std::string> weights, moments;
    size_t sum = 0;
    for (const TensorGroup& group : groups.groups) {
      (group.tensor_class == "weight" ? weights : moments).insert(group.label);
      sum += group.tensors;
    }
    EXPECT_EQ(sum, tensors.size());
    EXPECT_EQ(weights, moments) << "moments are grouped as their weights are";
  }
}

TEST(TensorGroups, RangesOfLayers) {
  const auto groups = group_tensors(model(32), 20);
  EXPECT_THAT(labels(groups), ::testing::Contains("weight:layers.0-15.attn.q"));
  EXPECT_THAT(labels(groups), ::testing::Contains("exp_avg:layers.16-31.norm"));
  EXPECT_EQ(groups.groups[0].tensors, 16u);
}

TEST(TensorGroups, NamesThatHaveNothingInCommon) {
  std::vector<NamedTensor> tensors;
  for (int i = 0; i < 500; ++i) tensors.push_back({"t" + std::to_string(i), "other", ""});
  tensors.push_back({std::string(60000, '.'), "other", ""});
  tensors.push_back({"99999999999999999999.18446744073709551615", "other", ""});
  const auto groups = group_tensors(tensors, 200);
  EXPECT_THAT(labels(groups), ::testing::ElementsAre("other:*"));
  EXPECT_EQ(groups.groups[0].tensors, 502u);
}

TEST(NaturalLess, ComparesNumbersByValue) {
  const std::vector<std::string> sorted = {"", "a", "a1", "a01", "a2", "a10", "a10b", "b"};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j < sorted.size(); ++j) {
      if (sorted[i] == "a01" || sorted[j] == "a01") continue;
      EXPECT_EQ(natural_less(sorted[i], sorted[j]), i < j) << sorted[i] << " " << sorted[j];
    }
  }
  EXPECT_NE(natural_less("a1", "a01"), natural_less("a01", "a1")) << "one of them is the first";
}

}  // namespace
}  // namespace cairn
