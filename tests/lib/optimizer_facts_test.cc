#include "lib/optimizer_facts.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(OptimizerFacts, WhatIsSetReplacesAndTheRestStays) {
  StepFacts facts, more;
  facts.lr = 1, facts.beta1 = 2, facts.step = 3;
  more.lr = 10, more.beta2 = 20, more.eps = 30, more.weight_decay = 0, more.clip = 0.5;
  more.momentum = 0.9, more.dampening = 0.1, more.optimizer = OptimizerKind::kSgd;
  merge_facts(more, facts);
  StepFacts expected = more;
  expected.beta1 = 2, expected.step = 3;
  EXPECT_EQ(facts, expected);
  merge_facts({}, facts);
  EXPECT_EQ(facts, expected);
}

TEST(OptimizerFacts, OfSeveralGroupsTheLaterOneWins) {
  OptimizerFacts facts;
  facts.common.lr = 1;
  facts.common.weight_decay = 0.1;
  StepFacts no_decay, slow;
  no_decay.weight_decay = 0;
  slow.lr = 0.01, slow.weight_decay = 0.3;
  facts.groups = {{"*.bias", no_decay}, {"layers.0.*", slow}};
  const ParameterFacts known(facts);
  EXPECT_EQ(known.of("layers.1.weight"), facts.common);
  EXPECT_EQ(known.of("layers.1.bias").weight_decay, 0.0);
  EXPECT_EQ(known.of("layers.1.bias").lr, 1.0);
  EXPECT_EQ(known.of("layers.0.bias").weight_decay, 0.3);
  EXPECT_EQ(known.of("layers.0.bias").lr, 0.01);
  EXPECT_EQ(known.of(""), facts.common);
}

TEST(OptimizerFacts, NamesAndGlobsCountInTheOrderOfTheGroups) {
  OptimizerFacts facts;
  const auto with_rate = [](double rate) {
    StepFacts step;
    step.lr = rate;
    return step;
  };
  facts.groups = {{"a", with_rate(1)}, {"*", with_rate(2)},    {"b", with_rate(3)},
                  {"c", with_rate(4)}, {"c[[]", with_rate(5)}, {"c", with_rate(6)}};
  const ParameterFacts known(facts);
  EXPECT_EQ(known.of("a").lr, 2.0);
  EXPECT_EQ(known.of("b").lr, 3.0);
  EXPECT_EQ(known.of("c").lr, 6.0);
  EXPECT_EQ(known.of("c[").lr, 5.0);
  EXPECT_EQ(known.of("d").lr, 2.0);
}

TEST(OptimizerFacts, AreTakenFromMetadata) {
  const StepFacts facts = facts_from_metadata({{"lr", "3e-4"},
                                               {"beta1", "0.9"},
                                               {"beta2", "0.95"},
                                               {"eps", "1e-8"},
                                               {"weight_decay", "0"},
                                               {"clip", "0.25"},
                                               {"momentum", "0.8"},
                                               {"dampening", "0.2"},
                                               {"optimizer", "Muon"},
                                               {"epoch", "7"}});
  StepFacts expected;
  expected.lr = 3e-4, expected.beta1 = 0.9, expected.beta2 = 0.95, expected.eps = 1e-8;
  expected.weight_decay = 0, expected.clip = 0.25, expected.momentum = 0.8;
  expected.dampening = 0.2, expected.optimizer = OptimizerKind::kMuon;
  EXPECT_EQ(facts, expected);
}

TEST(OptimizerFacts, WhatIsNoNumberIsPassedOver) {
  const StepFacts facts = facts_from_metadata(
      {{"lr", "fast"}, {"beta1", ""}, {"beta2", "0.9 or so"}, {"eps", "1e-8x"}, {"clip", "off"}});
  EXPECT_EQ(facts, StepFacts());
}

TEST(OptimizerFacts, WhatShouldBeANumberIsNamed) {
  EXPECT_EQ(facts_without_number({{"lr", "fast"}, {"eps", "1e-8"}, {"clip", ""}, {"note", "x"}}),
            (std::vector<std::string>{"clip", "lr"}));
}

TEST(OptimizerFacts, AnOptimizerIsKnownByItsWholeName) {
  EXPECT_EQ(optimizer_named("sgd"), OptimizerKind::kSgd);
  EXPECT_EQ(optimizer_named("SGD"), OptimizerKind::kSgd);
  EXPECT_EQ(optimizer_named("AdamW"), OptimizerKind::kAdamW);
  EXPECT_EQ(optimizer_named("adam"), OptimizerKind::kAdam);
  EXPECT_EQ(optimizer_named("Lion"), OptimizerKind::kLion);
  for (const char* name : {"", "adamw8bit", "ada", "adafactor", "sgd "}) {
    EXPECT_FALSE(optimizer_named(name)) << name;
  }
}

}  // namespace
}  // namespace cairn
