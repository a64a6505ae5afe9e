#include "lib/optimizer_facts.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(OptimizerFacts, WhatIsSetReplacesAndTheRestStays) {
  StepFacts facts, more;
  facts.lr = 1, facts.beta1 = 2, facts.step = 3;
  more.lr = 10, more.beta2 = 20, more.eps = 30, more.weight_decay = 0, more.clip = 0.5;
  more.momentum = 0.9, more.is_sgd = true;
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
  EXPECT_EQ(facts.of("layers.1.weight"), facts.common);
  EXPECT_EQ(facts.of("layers.1.bias").weight_decay, 0.0);
  EXPECT_EQ(facts.of("layers.1.bias").lr, 1.0);
  EXPECT_EQ(facts.of("layers.0.bias").weight_decay, 0.3);
  EXPECT_EQ(facts.of("layers.0.bias").lr, 0.01);
  EXPECT_EQ(facts.of(""), facts.common);
}

TEST(OptimizerFacts, AreTakenFromMetadata) {
  const StepFacts facts = facts_from_metadata({{"lr", "3e-4"},
                                               {"beta1", "0.9"},
                                               {"beta2", "0.95"},
                                               {"eps", "1e-8"},
                                               {"weight_decay", "0"},
                                               {"clip", "0.25"},
                                               {"momentum", "0.8"},
                                               {"epoch", "7"}});
  StepFacts expected;
  expected.lr = 3e-4, expected.beta1 = 0.9, expected.beta2 = 0.95, expected.eps = 1e-8;
  expected.weight_decay = 0, expected.clip = 0.25, expected.momentum = 0.8;
  EXPECT_EQ(facts, expected);
}

TEST(OptimizerFacts, WhatIsNoNumberIsPassedOver) {
  const StepFacts facts = facts_from_metadata(
      {{"lr", "fast"}, {"beta1", ""}, {"beta2", "0.9 or so"}, {"eps", "1e-8x"}, {"clip", "off"}});
  EXPECT_EQ(facts, StepFacts());
}

TEST(OptimizerFacts, SgdIsNamed) {
  EXPECT_TRUE(facts_from_metadata({{"optimizer", "sgd"}}).is_sgd);
  EXPECT_TRUE(facts_from_metadata({{"optimizer", "SGD"}}).is_sgd);
  EXPECT_FALSE(facts_from_metadata({{"optimizer", "AdamW"}}).is_sgd);
}

}  // namespace
}  // namespace cairn
