#include "base/replay/clip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/base/replay/adam_step.h"

namespace cairn {
namespace {

constexpr float kWeight = 0.1f;

std::vector<float> floats_of(const Bytes& bytes) {
  std::vector<float> floats(bytes.size() / 4);
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = load_le<float>(bytes, 4 * i);
  return floats;
}

std::vector<float> clips_of_average(const std::vector<float>& moments,
                                    const std::vector<float>& old) {
  return likely_clips(seen_gradients({1 - kWeight, kWeight, 0, moments, old}));
}

bool holds_significand(const std::vector<float>& clips, float clip) {
  int exponent = 0;
  const float significand = std::frexp(clip, &exponent);
  return std::any_of(clips.begin(), clips.end(), [&](float candidate) {
    return std::frexp(candidate, &exponent) == significand;
  });
}

TEST(Clip, IsFoundAgainWhateverItWas) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const AdamStep step(4000, seed, false, seed % 2 == 0 ? 1 : 30);
    const auto clips = clips_of_average(floats_of(step.m), floats_of(step.old_m));
    EXPECT_LE(clips.size(), 16u);
    EXPECT_TRUE(holds_significand(clips, step.clip)) << "seed " << seed << ", " << step.clip;
  }
}

TEST(Clip, IsFoundAmongSomeThatWereNotBf16) {
  const AdamStep step(4000, 3);
  std::vector<float> moments = floats_of(step.m);
  for (size_t i = 0; i < moments.size(); i += 20) moments[i] *= 1.0173f;
  EXPECT_TRUE(holds_significand(clips_of_average(moments, floats_of(step.old_m)), step.clip));
}

TEST(Clip, IsNotMadeUpForF32Gradients) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const AdamStep step(4000, seed, true);
    EXPECT_TRUE(clips_of_average(floats_of(step.m), floats_of(step.old_m)).empty());
  }
}

TEST(Clip, IsNotLookedForWhereNothingTells) {
  const std::vector<float> zeros(1000, 0.0f), nans(1000, NAN), few(5, 1.0f), ones(5, 0.0f);
  EXPECT_TRUE(clips_of_average(zeros, zeros).empty());
  EXPECT_TRUE(clips_of_average(nans, zeros).empty());
  EXPECT_TRUE(clips_of_average(zeros, nans).empty());
  EXPECT_TRUE(clips_of_average(few, ones).empty());
  EXPECT_TRUE(clips_of_average({}, {}).empty());
  const std::vector<float> infinite(1000, INFINITY);
  EXPECT_TRUE(likely_clips(seen_gradients({1, 0, 0, infinite, zeros})).empty());
}

}  // namespace
}  // namespace cairn
