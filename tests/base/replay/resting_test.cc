#include "base/replay/resting.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

/// A first moment of which so many rows of a hundred have no gradient.
struct Moments {
  Bytes now, before;

  explicit Moments(unsigned resting) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (int row = 0; row < 200; ++row) {
      const bool rests = random() % 100 < resting;
      for (int i = 0; i < 50; ++i) {
        const float old = normal(random);
        append_le(before, old);
        append_le(now, rests ? old * 0.9f : old * 0.9f + normal(random) * 0.1f);
      }
    }
  }
};

TEST(Resting, IsSeenWhereAThirdRests) {
  for (const unsigned resting : {30u, 50u, 100u}) {
    const Moments moments(resting);
    EXPECT_TRUE(has_resting(moments.now, moments.before)) << resting;
  }
}

TEST(Resting, IsNotSeenWhereEveryRowHasAGradient) {
  const Moments moments(0);
  EXPECT_FALSE(has_resting(moments.now, moments.before));
}

TEST(Resting, IsNotSeenInWhatIsEqualOrOdd) {
  const Moments moments(50);
  const Bytes zeros(moments.now.size()), nans(moments.now.size(), 0xff);
  EXPECT_FALSE(has_resting(moments.now, moments.now)) << "a difference takes nothing";
  EXPECT_FALSE(has_resting(zeros, zeros));
  EXPECT_FALSE(has_resting(nans, moments.before));
  EXPECT_FALSE(has_resting(moments.now, zeros));
  EXPECT_FALSE(has_resting({}, {}));
  EXPECT_FALSE(has_resting(ByteSpan(moments.now).first(12), ByteSpan(moments.before).first(12)));
}

}  // namespace
}  // namespace cairn
