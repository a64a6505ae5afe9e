#include <gtest/gtest.h>

#include <cmath>

#include "base/replay/predictor.h"
#include "base/replay/rules.h"
#include "base/replay/sample.h"
#include "tests/base/replay/adam_step.h"
#include "tests/base/replay/host_floats.h"

namespace cairn {
namespace {

constexpr ReplayDtype kF32 = ReplayDtype::kF32;

std::optional<ReplayParameters> fit(ReplayRule rule, const StepFacts& facts, ByteSpan items,
                                    std::initializer_list<ByteSpan> bases) {
  std::vector<ReplayInput> inputs;
  for (const ByteSpan base : bases) inputs.push_back({base, kF32});
  return fit_replay(rule, facts, {items, kF32}, inputs);
}
std::optional<ReplayParameters> fit_second(const AdamStep& step, const StepFacts& facts) {
  return fit(ReplayRule::kAdamSecondMoment, facts, step.v, {step.m, step.old_m, step.old_v});
}
std::optional<ReplayParameters> fit_first(const AdamStep& step, const StepFacts& facts) {
  return fit(ReplayRule::kAdamFirstMoment, facts, step.m, {step.old_m});
}
std::optional<ReplayParameters> fit_parameter(const AdamStep& step, const StepFacts& facts) {
  return fit(ReplayRule::kAdamParameter, facts, step.w, {step.old_w, step.m, step.v});
}

double exact_share(const ReplayParameters& parameters, ByteSpan items,
                   std::initializer_list<ByteSpan> bases) {
  Bytes out(items.size());
  const std::vector<ByteSpan> inputs(bases);
  Predictor(parameters).predict(inputs, 0, out);
  return static_cast<double>(replay_cost(kF32, items, out).exact) /
         static_cast<double>(items.size() / 4);
}
double parameter_share(const AdamStep& step, const std::optional<ReplayParameters>& fitted) {
  return fitted ? exact_share(*fitted, step.w, {step.old_w, step.m, step.v}) : 0;
}
double second_share(const AdamStep& step, const std::optional<ReplayParameters>& fitted) {
  return fitted ? exact_share(*fitted, step.v, {step.m, step.old_m, step.old_v}) : 0;
}

TEST(Fit, KnownFactsPredictEverything) {
  for (const double number : {1.0, 2.0, 10.0, 200.0}) {
    for (const double weight_decay : {0.0, 0.1}) {
      const AdamStep step(20000, 11, false, number, weight_decay);
      EXPECT_EQ(parameter_share(step, fit_parameter(step, step.facts)), 1) << number;
      EXPECT_GE(second_share(step, fit_second(step, step.facts)), 0.999) << number;
      const auto first = fit_first(step, step.facts);
      ASSERT_TRUE(first);
      EXPECT_EQ(first->variant, 0);
    }
  }
}

TEST(Fit, F32GradientsStillGiveTheSecondMoment) {
  const AdamStep step(20000, 12, true);
  EXPECT_GE(second_share(step, fit_second(step, step.facts)), 0.7);
  EXPECT_FALSE(fit_first(step, step.facts)) << "no BF16 gradient is there";
}

TEST(Fit, WhatIsNotKnownIsLookedFor) {
  const AdamStep step(20000, 13);
  StepFacts only_step;
  only_step.step = step.facts.step;
  EXPECT_GE(parameter_share(step, fit_parameter(step, only_step)), 0.99);
  StepFacts without_step = step.facts;
  without_step.step.reset();
  EXPECT_GE(parameter_share(step, fit_parameter(step, without_step)), 0.99);
  StepFacts wrong = step.facts;
  wrong.lr = 0.5;
  wrong.weight_decay = 3;
  EXPECT_GE(parameter_share(step, fit_parameter(step, wrong)), 0.99);
  EXPECT_GE(second_share(step, fit_second(step, {})), 0.999);
  EXPECT_TRUE(fit_first(step, {}));
}

TEST(Fit, NothingFitsWhatIsNoStep) {
  const AdamStep one(20000, 14), other(20000, 15);
  EXPECT_FALSE(
      fit(ReplayRule::kAdamSecondMoment, one.facts, one.v, {other.m, other.old_m, other.old_v}));
  EXPECT_FALSE(fit(ReplayRule::kAdamFirstMoment, one.facts, one.m, {other.old_w}));
  EXPECT_FALSE(fit(ReplayRule::kSgdParameter, one.facts, one.w, {one.old_w, other.m}));
}

TEST(Fit, ParametersOfSgdFollowWhateverTheRateIsSaidToBe) {
  constexpr float kLr = 0.0137f, kMomentum = 0.9f;
  const AdamStep random(20000, 17);  // for its tensors
  for (const bool nesterov : {false, true}) {
    Bytes after;
    for (size_t at = 0; at < random.m.size(); at += 4) {
      const auto buffer = load_le<float>(random.m, at), old = load_le<float>(random.old_m, at);
      const float gradient = std::fma(-kMomentum, old, buffer);
      const float direction = nesterov ? std::fma(kMomentum, buffer, gradient) : buffer;
      append_le(after, std::fma(-kLr, direction, load_le<float>(random.old_w, at)));
    }
    for (const std::optional<double> lr : {std::optional<double>(), std::optional<double>(0.02)}) {
      StepFacts facts;
      facts.optimizer = OptimizerKind::kSgd;
      facts.momentum = kMomentum;
      facts.lr = lr;
      const auto rule = nesterov ? ReplayRule::kNesterovParameter : ReplayRule::kSgdParameter;
      std::vector<ByteSpan> bases = {random.old_w, random.m};
      if (nesterov) bases.emplace_back(random.old_m);
      std::vector<ReplayInput> inputs;
      for (const ByteSpan base : bases) inputs.push_back({base, kF32});
      const auto fitted = fit_replay(rule, facts, {after, kF32}, inputs);
      ASSERT_TRUE(fitted) << nesterov;
      Bytes out(after.size());
      Predictor(*fitted).predict(bases, 0, out);
      EXPECT_GE(replay_cost(kF32, after, out).exact, after.size() / 4 * 99 / 100);
    }
  }
}

TEST(Fit, OddInputIsSurvived) {
  const Bytes zeros(4000), nans(4000, 0xff), none;
  for (uint8_t rule = 0; rule < 10; ++rule) {
    for (const Bytes* bytes : {&zeros, &nans, &none}) {
      const std::vector<ReplayInput> bases(base_count(static_cast<ReplayRule>(rule)), {*bytes});
      StepFacts facts;
      EXPECT_FALSE(fit_replay(static_cast<ReplayRule>(rule), facts, {*bytes}, bases));
      facts = {.step = NAN,
               .lr = INFINITY,
               .beta1 = 1,
               .beta2 = 2,
               .eps = -1,
               .weight_decay = NAN,
               .clip = 0,
               .momentum = NAN,
               .dampening = NAN,
               .optimizer = {}};
      fit_replay(static_cast<ReplayRule>(rule), facts, {*bytes}, bases);
    }
  }
  const AdamStep step(1000, 16);
  StepFacts odd = step.facts;
  odd.clip = 0;
  odd.beta1 = 1;
  odd.step = -3;
  fit_first(step, odd);
  fit_second(step, odd);
  fit_parameter(step, odd);
  EXPECT_FALSE(fit(ReplayRule::kAdamSecondMoment, odd, step.v, {step.m, step.old_m}));
  EXPECT_FALSE(fit(ReplayRule::kAdamSecondMoment, odd, step.v, {step.m, step.old_m, zeros, zeros}));
}

TEST(Fit, HostFloatsDoNotMatter) {
  const AdamStep step(20000, 17);
  const auto expected = fit_parameter(step, step.facts);
  for (const HostFloats& host : kHostFloats) {
    const HostScope scope(host);
    EXPECT_EQ(fit_parameter(step, step.facts), expected) << host.name;
    EXPECT_TRUE(scope.is_unchanged());
  }
}

}  // namespace
}  // namespace cairn
