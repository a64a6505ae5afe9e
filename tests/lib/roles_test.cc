#include "lib/roles.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TensorSource named(const std::string& name, Dtype dtype = Dtype::kF32) {
  TensorSource source;
  source.name = name;
  source.dtype = dtype;
  return source;
}

TEST(Roles, AreGuessedFromTheHabitsOfOthers) {
  struct Case {
    const char* name;
    Role role;
    const char* parameter;
  };
  for (const Case& each : {Case{"layers.0.w", Role::kWeight, "layers.0.w"},
                           Case{"model.layers.0.w", Role::kWeight, "layers.0.w"},
                           Case{"exp_avg.layers.0.w", Role::kExpAvg, "layers.0.w"},
                           Case{"exp_avg_sq.layers.0.w", Role::kExpAvgSq, "layers.0.w"},
                           Case{"optim.state.layers.0.w.exp_avg", Role::kExpAvg, "layers.0.w"},
                           Case{"optimizer.state.0.step", Role::kStep, "0"},
                           Case{"state.model.w.exp_avg_sq", Role::kExpAvgSq, "w"},
                           Case{"master.w", Role::kMaster, "w"}, Case{"step", Role::kStep, ""},
                           Case{"optim.w.momentum_buffer", Role::kExpAvg, "w"},
                           Case{"optim.w.max_exp_avg_sq", Role::kMaxExpAvgSq, "w"},
                           Case{"my_exp_avg.w", Role::kWeight, "my_exp_avg.w"},
                           Case{"model.", Role::kWeight, "model."}}) {
    std::vector<TensorSource> sources{named(each.name)};
    guess_roles(sources);
    EXPECT_EQ(sources[0].role, each.role) << each.name;
    EXPECT_EQ(sources[0].parameter, each.parameter) << each.name;
  }
  std::vector<TensorSource> state{named("rng", Dtype::kU8)};
  guess_roles(state);
  EXPECT_EQ(state[0].role, Role::kOther);
}

TEST(Roles, TheMostSpecificPatternWins) {
  const auto rules = parse_role_rules(
      as_bytes(R"({"names": {"weight": "{p}", "exp_avg": "opt/{p}/m", "step": "opt/{p}/t"}})"),
      "f");
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<TensorSource> sources{named("w"), named("opt/w/m"), named("opt//m")};
  assign_roles(*rules, sources);
  EXPECT_EQ(sources[0].role, Role::kWeight);
  EXPECT_EQ(sources[1].role, Role::kExpAvg);
  EXPECT_EQ(sources[1].parameter, "w");
  EXPECT_EQ(sources[2].role, Role::kWeight) << "a parameter has a name";
}

TEST(Roles, EntriesMayBeLeftOut) {
  for (const char* text : {"{}", R"({"optimizer": "adamw", "amsgrad": false})", R"({"names": {}})",
                           R"({"step": 3, "groups": [{"match": "*", "lr": 0.1}]})"}) {
    EXPECT_TRUE(parse_role_rules(as_bytes(text), "f")) << text;
  }
}

TEST(Roles, WithoutNamesTheyAreToldFromTheNames) {
  const auto rules = parse_role_rules(as_bytes(R"({"lr": 0.1})"), "f");
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<TensorSource> sources{named("w"), named("exp_avg.w")};
  EXPECT_TRUE(assign_roles(*rules, sources).empty());
  EXPECT_EQ(sources[0].role, Role::kWeight);
  EXPECT_EQ(sources[1].role, Role::kExpAvg);
  EXPECT_EQ(sources[1].parameter, "w");
  const auto none = parse_role_rules(as_bytes(R"({"names": {}})"), "f");
  ASSERT_TRUE(none) << none.error().message;
  assign_roles(*none, sources);
  EXPECT_EQ(sources[1].role, Role::kNone) << "no names are none";
}

TEST(Roles, NamesThatNoTensorHasAreTold) {
  const auto rules = parse_role_rules(
      as_bytes(R"({"names": {"weight": "{p}", "master": "master_{p}", "step": "step.{p}"}})"), "f");
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<TensorSource> sources{named("w"), named("master.w"), named("step.w")};
  const auto idle = assign_roles(*rules, sources);
  ASSERT_EQ(idle.size(), 1u);
  EXPECT_EQ(idle[0].role, Role::kMaster);
  EXPECT_EQ(idle[0].text(), "master_{p}");
}

TEST(Roles, KeysThatChangeNothingAreTold) {
  const auto rules = parse_role_rules(as_bytes(R"({"lr": 1, "beta_1": 0.9, "match": "*",
      "groups": [{"match": "*", "learning_rate": 1, "names": {}}]})"),
                                      "f");
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_EQ(rules->unknown_keys,
            (std::vector<std::string>{"beta_1", "match", "learning_rate", "names"}));
}

TEST(Roles, WhereAFileCeasesToBeJsonIsTold) {
  const auto rules = parse_role_rules(as_bytes("{\n \"lr\": 1,\n \"eps\" 2\n}"), "f");
  ASSERT_FALSE(rules);
  EXPECT_NE(rules.error().message.find("from line 3 (byte 20) on"), std::string::npos)
      << rules.error().message;
}

TEST(Roles, AGroupMayHaveAnotherOptimizer) {
  const auto rules = parse_role_rules(as_bytes(R"({"optimizer": "adamw", "lr": 1e-3,
      "groups": [{"match": "blocks.*", "optimizer": "muon", "lr": 0.02, "dampening": 0.1}]})"),
                                      "f");
  ASSERT_TRUE(rules) << rules.error().message;
  const ParameterFacts known(rules->optimizer);
  EXPECT_EQ(known.of("head").optimizer, OptimizerKind::kAdamW);
  const StepFacts facts = known.of("blocks.0.up");
  EXPECT_EQ(facts.optimizer, OptimizerKind::kMuon);
  EXPECT_EQ(facts.lr, 0.02);
  EXPECT_EQ(facts.dampening, 0.1);
}

TEST(Roles, AGroupMayHaveSeveralGlobs) {
  const auto rules = parse_role_rules(
      as_bytes(R"({"lr": 1, "groups": [{"match": ["*.bias", "norm"], "lr": 2}]})"), "f");
  ASSERT_TRUE(rules) << rules.error().message;
  const ParameterFacts known(rules->optimizer);
  EXPECT_EQ(known.of("head.bias").lr, 2);
  EXPECT_EQ(known.of("norm").lr, 2);
  EXPECT_EQ(known.of("head").lr, 1);
}

TEST(Roles, ATensorMayBeSaidToBeNoneOfThem) {
  const auto rules =
      parse_role_rules(as_bytes(R"({"names": {"weight": "{p}", "other": "rng.{p}"}})"), "f");
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<TensorSource> sources{named("w"), named("rng.w")};
  assign_roles(*rules, sources);
  EXPECT_EQ(sources[0].role, Role::kWeight);
  EXPECT_EQ(sources[1].role, Role::kOther);
}

TEST(Roles, WhatIsNoRolesFileIsNamed) {
  for (const char* text :
       {"", "{", "[]", "1", R"({"names": []})", R"({"names": {"momentum": "{p}"}})",
        R"({"names": {"weight": "w"}})", R"({"names": {"weight": "{p}{p}"}})",
        R"({"names": {"weight": 1}})", R"({"names": {"weight": "{p}", "master": "{p}"}})",
        R"({"lr": "0.1"})", R"({"lr": 1e999})", R"({"optimizer": 1})", R"({"groups": {}})",
        R"({"groups": [{"lr": 1}]})", R"({"groups": [{"match": "*", "optimizer": 1}]})",
        R"({"groups": [{"match": ["*", 1]}]})", R"({"model_type": "llama"})"}) {
    const auto rules = parse_role_rules(as_bytes(text), "roles.json");
    ASSERT_FALSE(rules) << text;
    EXPECT_EQ(rules.error().code, Code::kUsage);
    EXPECT_NE(rules.error().message.find("roles.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace cairn
