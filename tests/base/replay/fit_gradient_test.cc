#include "base/replay/fit_gradient.h"

#include <gtest/gtest.h>

#include "base/encodings/encode.h"
#include "tests/base/replay/gradient_step.h"

namespace cairn {
namespace {

constexpr size_t kItems = 40000;
constexpr OptimizerKind kSgd = OptimizerKind::kSgd, kMuon = OptimizerKind::kMuon,
                        kAdam = OptimizerKind::kAdam;

/// Bytes that an item takes; 4 where nothing fits.
double cost(ReplayRule rule, const StepFacts& facts, const Bytes& items,
            const std::vector<Bytes>& bases) {
  const std::vector<ReplayInput> inputs(bases.begin(), bases.end());
  const auto fitted = fit_replay(rule, facts, {items}, inputs);
  if (!fitted) return 4;
  const std::vector<ByteSpan> spans(bases.begin(), bases.end());
  const Encoded encoded = encode_replay(*fitted, items, spans, Effort::kBalanced);
  Bytes out(items.size());
  EXPECT_TRUE(decode_replay(encoded.parameters, encoded.stored, spans, out));
  EXPECT_EQ(out, items);
  return static_cast<double>(encoded.stored.size()) / (static_cast<double>(items.size()) / 4);
}

double moment_cost(const GradientStep& step, const StepFacts& facts) {
  return cost(ReplayRule::kAdamFirstMoment, facts, step.m, {step.old_m});
}
double decayed_cost(const GradientStep& step, const StepFacts& facts) {
  return cost(ReplayRule::kDecayedFirstMoment, facts, step.m, {step.old_m, step.old_w});
}
double parameter_cost(const GradientStep& step, const StepFacts& facts) {
  return cost(ReplayRule::kGradientParameter, facts, step.w, {step.old_w});
}

TEST(FitGradient, ABufferCostsWhatItsGradientCosts) {
  const GradientStep step(kItems, 1, kSgd, 0, 0.9);
  EXPECT_LT(moment_cost(step, step.facts), 1.5);
  StepFacts facts = step.facts;
  facts.momentum.reset();
  EXPECT_LT(moment_cost(step, facts), 1.5) << "a usual one";
  facts.optimizer.reset();
  facts.momentum = 0.9;
  EXPECT_LT(moment_cost(step, facts), 1.5) << "what has a momentum may be SGD";
}

TEST(FitGradient, OfLionTheSecondBetaIsTheMoments) {
  const GradientStep step(kItems, 9, kAdam, 0);
  StepFacts lion;
  lion.beta1 = 0.95;
  lion.beta2 = step.facts.beta1;
  EXPECT_LT(moment_cost(step, lion), 1.5) << "of an optimizer without a name it may be";
  lion.optimizer = OptimizerKind::kLion;
  EXPECT_LT(moment_cost(step, lion), 1.5);
  lion.optimizer = kAdam;
  EXPECT_GE(moment_cost(step, lion), 2);
}

TEST(FitGradient, DecayThatIsInTheGradientIsTakenOutFirst) {
  for (const OptimizerKind kind : {kAdam, kSgd}) {
    const GradientStep step(kItems, 2, kind, 0.1, 0.9);
    EXPECT_GE(moment_cost(step, step.facts), 2) << "it is no BF16 any more";
    EXPECT_LT(decayed_cost(step, step.facts), 1.5);
    StepFacts facts = step.facts;
    facts.optimizer.reset();
    EXPECT_LT(decayed_cost(step, facts), 1.5);
    facts.optimizer = OptimizerKind::kAdamW;
    EXPECT_EQ(decayed_cost(step, facts), 4) << "its decay is elsewhere";
    facts = step.facts;
    facts.weight_decay = 0;
    EXPECT_EQ(decayed_cost(step, facts), 4);
  }
}

TEST(FitGradient, ParametersOfSgdWithoutMomentum) {
  for (const double weight_decay : {0.0, 0.1}) {
    const GradientStep step(kItems, 3, kSgd, weight_decay);
    EXPECT_LT(parameter_cost(step, step.facts), 1.5);
    StepFacts facts = step.facts;
    facts.clip = step.clip;
    EXPECT_LT(parameter_cost(step, facts), 1.5);
    facts.lr.reset();
    EXPECT_EQ(parameter_cost(step, facts), 4);
  }
}

TEST(FitGradient, ParametersOfMuonWhateverTheirShape) {
  const GradientStep step(kItems, 4, kMuon, 0.1);
  EXPECT_LT(parameter_cost(step, step.facts), 1.5);
  StepFacts facts = step.facts;
  facts.optimizer.reset();
  EXPECT_EQ(parameter_cost(step, facts), 4);
}

TEST(FitGradient, F32GradientsAreNotMadeBf16) {
  const GradientStep step(kItems, 5, kSgd, 0, {}, true);
  const GradientStep buffer(kItems, 6, kSgd, 0.1, 0.9, true);
  EXPECT_GE(parameter_cost(step, step.facts), 2);
  EXPECT_GE(decayed_cost(buffer, buffer.facts), 2);
}

TEST(FitGradient, WhatHasNoGradientFollowsWhateverTheOthersDo) {
  GradientStep step(kItems, 10, kAdam, 0, {}, true);
  EXPECT_EQ(moment_cost(step, step.facts), 4);
  for (size_t at = 0; at < step.m.size() / 2; at += 4) {
    const auto old = load_le<float>(step.old_m, at);
    store_le(MutableBytes(step.m), at, std::fma(static_cast<float>(1 - 0.9), -old, old));
  }
  EXPECT_LT(moment_cost(step, step.facts), 2) << "half of 4, less what planes save";
}

TEST(FitGradient, OddFactsAreSurvived) {
  const GradientStep step(2000, 7, kSgd, 0.1, 0.9), muon(2000, 8, kMuon, 0.1);
  for (const double odd :
       {0.0, -1.0, 1.0, 1e300, static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    StepFacts facts = step.facts;
    facts.lr = facts.momentum = facts.weight_decay = facts.clip = facts.dampening = odd;
    decayed_cost(step, facts);
    moment_cost(step, facts);
    parameter_cost(step, facts);
    facts.optimizer = kMuon;
    parameter_cost(muon, facts);
    moment_cost(step, facts);
  }
}

}  // namespace
}  // namespace cairn
