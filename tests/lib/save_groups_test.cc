#include "lib/save_groups.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

class SaveGroups : public testing::Test {
 protected:
  void add(const std::string& name, Dtype dtype, const Shape& shape, Role role,
           const std::string& parameter) {
    TensorSource source{name, dtype, shape, whole_box(shape), bytes_.data()};
    source.role = role;
    source.parameter = parameter;
    request_.tensors.push_back(source);
  }
  /// The names of each group's items.
  std::vector<std::vector<std::string>> groups() {
    request_.tag = "t";
    Config config;
    config.chunk_elements = 1024;
    const auto planned = plan_save(request_, config);
    EXPECT_TRUE(planned) << planned.error().message;
    plan_ = *planned;
    std::vector<std::vector<std::string>> names;
    for (const SaveGroup& group : group_items(plan_)) {
      names.emplace_back();
      for (const size_t item : group.items) {
        names.back().push_back(item < plan_.tensors.size()
                                   ? plan_.tensors[item].first->name
                                   : plan_.attachments[item - plan_.tensors.size()].name);
      }
    }
    return names;
  }

  const Bytes bytes_ = Bytes(1 << 20);
  SaveRequest request_;
  SavePlan plan_;
};

using Names = std::vector<std::vector<std::string>>;

TEST_F(SaveGroups, OneForEachParameterInTheOrderOfDecoding) {
  add("a", Dtype::kBF16, {40, 40}, Role::kWeight, "p");
  add("b", Dtype::kF32, {40, 40}, Role::kMaster, "p");
  add("c", Dtype::kF32, {40, 40}, Role::kExpAvgSq, "p");
  add("d", Dtype::kF32, {40, 40}, Role::kExpAvg, "p");
  add("e", Dtype::kBF16, {40, 40}, Role::kWeight, "q");
  add("f", Dtype::kF32, {40, 40}, Role::kMaxExpAvgSq, "p");
  EXPECT_EQ(groups(), (Names{{"d", "c", "f", "b", "a"}, {"e"}}));
  EXPECT_EQ(group_items(plan_).front().chunks, 2u);
}

TEST_F(SaveGroups, ThoseOfSeveralComeFirst) {
  add("a", Dtype::kBF16, {40}, Role::kWeight, "a");
  add("b", Dtype::kBF16, {40}, Role::kWeight, "b");
  add("c", Dtype::kF32, {40}, Role::kMaster, "b");
  EXPECT_EQ(groups(), (Names{{"c", "b"}, {"a"}}));
}

TEST_F(SaveGroups, WhatHasAnotherShapeOrNoRoleStandsAlone) {
  add("a", Dtype::kBF16, {40, 40}, Role::kWeight, "p");
  add("b", Dtype::kF32, {1600}, Role::kMaster, "p");
  add("c", Dtype::kF32, {40, 40}, Role::kNone, "p");
  add("d", Dtype::kF32, {40, 40}, Role::kOther, "p");
  add("e", Dtype::kF32, {40, 40}, Role::kStep, "p");
  add("f", Dtype::kF32, {40, 40}, Role::kMaster, "");
  add("g", Dtype::kF4, {40, 40}, Role::kMaster, "p");
  const Names all = groups();
  EXPECT_EQ(all.size(), 7u);
  for (const auto& group : all) EXPECT_EQ(group.size(), 1u);
}

TEST_F(SaveGroups, TwoOfOneRoleAreNotInOneGroup) {
  add("a", Dtype::kBF16, {40}, Role::kWeight, "p");
  add("b", Dtype::kF16, {40}, Role::kWeight, "p");
  add("c", Dtype::kF32, {40}, Role::kMaster, "p");
  EXPECT_EQ(groups(), (Names{{"c", "a"}, {"b"}}));
}

TEST_F(SaveGroups, EveryItemWithChunksIsInOne) {
  add("empty", Dtype::kF32, {0, 3}, Role::kMaster, "p");
  add("empty too", Dtype::kBF16, {0, 3}, Role::kWeight, "p");
  add("scalar", Dtype::kF32, {}, Role::kStep, "");
  request_.attachments = {{"none", {}}, {"some", ByteSpan(bytes_).first(10)}};
  EXPECT_EQ(groups(), (Names{{"scalar"}, {"some"}}));
}

}  // namespace
}  // namespace cairn
