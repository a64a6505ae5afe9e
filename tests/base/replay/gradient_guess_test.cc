#include "base/replay/gradient_guess.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/replay/gradient_step.h"

namespace cairn {
namespace {

constexpr size_t kItems = 5000;

/// How many guesses are not more than one unit off what the rule's gradient was.
double near_share(const ReplayParameters& parameters, const std::vector<Bytes>& inputs,
                  const Bytes& gradients) {
  const Predictor guesser = gradient_guesser(parameters);
  EXPECT_EQ(guesser.inputs(), inputs.size());
  const std::vector<ByteSpan> spans(inputs.begin(), inputs.end());
  Bytes guessed(gradients.size());
  guesser.predict(spans, 0, guessed);
  size_t near = 0;
  for (size_t at = 0; at < gradients.size(); at += 2) {
    const int off = load_le<uint16_t>(guessed, at) - load_le<uint16_t>(gradients, at);
    near += std::abs(off) <= 1 ? 1 : 0;
  }
  return static_cast<double>(near) / (static_cast<double>(gradients.size()) / 2);
}

/// What the rule makes of random bases and gradients, and how well these are guessed from it.
double near_share_of(ReplayRule rule, const std::vector<float>& scalars) {
  ReplayParameters parameters;
  parameters.rule = rule;
  for (const float scalar : scalars) {
    parameters.scalars.push_back(std::bit_cast<uint32_t>(scalar));
  }
  const Predictor predictor(parameters);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<Bytes> inputs(predictor.inputs());
  for (size_t i = 0; i < kItems; ++i) {
    for (size_t base = 0; base + 1 < inputs.size(); ++base) {
      append_le(inputs[base], normal(random) * 0.01f);
    }
    const auto bits = std::bit_cast<uint32_t>(round_to_bf16(normal(random) * 0.01f));
    append_le(inputs.back(), static_cast<uint16_t>(bits >> 16));
  }
  Bytes items(4 * kItems);
  predictor.predict(std::vector<ByteSpan>(inputs.begin(), inputs.end()), 0, items);
  const Bytes gradients = inputs.back();
  inputs.pop_back();
  inputs.insert(inputs.begin(), items);
  return near_share(parameters, inputs, gradients);
}

TEST(GradientGuess, IsNearWhateverMadeTheItems) {
  EXPECT_GT(near_share_of(ReplayRule::kAdamFirstMoment, {0.1f, 0.9f, 0.37f}), 0.99) << "average";
  EXPECT_GT(near_share_of(ReplayRule::kDecayedFirstMoment, {0.1f, 0.9f, 0.37f, 0.1f}), 0.99);
  EXPECT_GT(near_share_of(ReplayRule::kGradientParameter, {0.05f, 0.37f, 0.999f, 0}), 0.99);
}

TEST(GradientGuess, KnowsHowMuchAGradientAdds) {
  ReplayParameters parameters;
  parameters.rule = ReplayRule::kAdamFirstMoment;
  const auto exponent = [&](float taken, float clip) {
    parameters.scalars = {std::bit_cast<uint32_t>(taken), 0, std::bit_cast<uint32_t>(clip)};
    return gradient_exponent(parameters);
  };
  EXPECT_EQ(exponent(1, 1), 0);
  EXPECT_EQ(exponent(0.25f, 0.5f), -3);
  EXPECT_LT(exponent(0, 1), -200);
  EXPECT_GT(exponent(INFINITY, 1), 200);
}

}  // namespace
}  // namespace cairn
