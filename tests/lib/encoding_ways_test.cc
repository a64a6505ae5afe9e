#include "lib/encoding_ways.h"

#include <gtest/gtest.h>

#include "tests/lib/cluster_samples.h"

namespace cairn {
namespace {

class EncodingWays : public testing::Test {
 protected:
  std::vector<Way> ways(size_t member, const WayOptions& options = {}) const {
    std::vector<Way> ways;
    for (const EncodingWay& way : ways_of(step_.cluster, member, options)) ways.push_back(way.way);
    return ways;
  }
  EncodingWay first(size_t member, const WayOptions& options = {}) const {
    return ways_of(step_.cluster, member, options).front();
  }

  SampleStep step_{1000};
  Cluster& cluster_ = step_.cluster;
};

using List = std::vector<Way>;
constexpr size_t kFirst = SampleStep::kFirst, kSecond = SampleStep::kSecond,
                 kMaster = SampleStep::kMaster, kWeight = SampleStep::kWeight;

TEST_F(EncodingWays, InASeriesEachFollowsFromThoseBeforeIt) {
  EXPECT_EQ(ways(kFirst), (List{Way::kReplay, Way::kReplay, Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kSecond), (List{Way::kReplay, Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kMaster), (List{Way::kReplay, Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kWeight), (List{Way::kDerived, Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(first(kFirst).rule, ReplayRule::kAdamFirstMoment);
  const EncodingWay decayed = ways_of(cluster_, kFirst, {})[1];
  EXPECT_EQ(decayed.rule, ReplayRule::kDecayedFirstMoment);
  EXPECT_EQ(decayed.sources[1].member, kMaster);
  EXPECT_EQ(first(kSecond).rule, ReplayRule::kAdamSecondMoment);
  EXPECT_EQ(first(kMaster).rule, ReplayRule::kAdamParameter);
  EXPECT_EQ(first(kWeight).cast, Cast::kF32ToBf16);
}

TEST_F(EncodingWays, ACopyIsMadeFromEarlierMembersOrFromTheBase) {
  for (const bool weights_first : {false, true}) {
    for (size_t member = 0; member < cluster_.size(); ++member) {
      for (const EncodingWay& way : ways_of(cluster_, member, {true, weights_first})) {
        for (const WaySource& source : way.sources) {
          const bool is_first = weights_first && source.member == kWeight && member == kMaster;
          EXPECT_TRUE(source.before || source.member < member || is_first);
          EXPECT_FALSE(bytes_of(cluster_, source).empty());
        }

        if (way.way != Way::kReplay) continue;
        EXPECT_EQ(way.sources.size(), base_count(way.rule));
      }
    }
  }
}

TEST_F(EncodingWays, WeightsByThemselvesAndMastersFromThem) {
  EXPECT_EQ(ways(kWeight, {true, true}), (List{Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kMaster, {true, true}),
            (List{Way::kDerived, Way::kReplay, Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(first(kMaster, {true, true}).cast, Cast::kBf16ToF32);
}

TEST_F(EncodingWays, WithoutABaseNothingIsReplayed) {
  step_.forget_before();
  EXPECT_EQ(ways(kFirst, {true, true}), List{Way::kPlanes});
  EXPECT_EQ(ways(kSecond, {true, true}), List{Way::kPlanes});
  EXPECT_EQ(ways(kMaster, {true, true}), (List{Way::kDerived, Way::kPlanes}));
}

TEST_F(EncodingWays, WithoutPredictionNothingIsReplayed) {
  EXPECT_EQ(ways(kMaster, {false, false}), (List{Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kWeight, {false, false}), (List{Way::kDerived, Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, WhatLiesInItsPageIsNothingToBeMadeFrom) {
  cluster_[kMaster].is_inline = true;
  EXPECT_EQ(ways(kWeight), (List{Way::kDelta, Way::kPlanes})) << "there is a master all the same";
  cluster_[kFirst].is_inline = true;
  EXPECT_EQ(ways(kSecond), (List{Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, OtherDtypesAreNotCast) {
  cluster_[kWeight].dtype = Dtype::kI16;
  EXPECT_EQ(ways(kWeight), (List{Way::kDelta, Way::kPlanes}));
  cluster_[kWeight].dtype = Dtype::kF16;
  EXPECT_EQ(first(kWeight).cast, Cast::kF32ToF16);
  cluster_[kMaster].dtype = Dtype::kI32;
  EXPECT_EQ(ways(kMaster), (List{Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kWeight), (List{Way::kDelta, Way::kPlanes}));
  cluster_[kFirst].dtype = Dtype::kF64;
  EXPECT_EQ(ways(kFirst), (List{Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(kSecond), (List{Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, WithABufferOnlyItMayBeSgdOrLion) {
  cluster_.erase(cluster_.begin() + kSecond);
  constexpr size_t kParameter = kSecond;
  EXPECT_EQ(ways(kParameter),
            (List{Way::kReplay, Way::kReplay, Way::kReplay, Way::kDelta, Way::kPlanes}));
  const auto with_gradients = ways_of(cluster_, kParameter, {.from_gradients = true});
  EXPECT_EQ(with_gradients.size(), 6u);
  EXPECT_EQ(with_gradients[3].rule, ReplayRule::kGradientParameter);
}

TEST_F(EncodingWays, OfAmsgradTheStepIsMadeWithTheLargestSecondMoment) {
  constexpr size_t kLargest = 4;
  cluster_.push_back(cluster_[kSecond]);
  cluster_[kLargest].role = Role::kMaxExpAvgSq;
  EXPECT_EQ(first(kLargest).rule, ReplayRule::kAdamMaximum);
  EXPECT_EQ(first(kLargest).sources[1].member, kSecond);
  EXPECT_EQ(first(kMaster).sources[2].member, kLargest);
  EXPECT_EQ(first(kSecond).rule, ReplayRule::kAdamSecondMoment);
  cluster_[kLargest].is_inline = true;
  EXPECT_EQ(ways(kMaster), (List{Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, AParameterWithoutStateMayFollowFromItsGradient) {
  cluster_.erase(cluster_.begin(), cluster_.begin() + kMaster);
  EXPECT_EQ(ways(0), (List{Way::kDelta, Way::kPlanes}));
  EXPECT_EQ(ways(0, {.from_gradients = true}), (List{Way::kReplay, Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, AWeightWithoutMasterIsTheParameter) {
  cluster_.erase(cluster_.begin() + kMaster);
  EXPECT_EQ(ways(kMaster), (List{Way::kReplay, Way::kDelta, Way::kPlanes}));
}

TEST_F(EncodingWays, AWeightByItselfIsMadeFromNoMoments) {
  cluster_.erase(cluster_.begin() + kMaster);
  EXPECT_EQ(ways(kMaster, {true, true}), (List{Way::kDelta, Way::kPlanes}));
  cluster_.erase(cluster_.begin(), cluster_.begin() + kMaster);
  EXPECT_EQ(ways(0, {true, true, true}), (List{Way::kReplay, Way::kDelta, Way::kPlanes}))
      << "its gradient lies with it";
}

TEST_F(EncodingWays, WhatRepeatsItselfIsTriedWithZstd) {
  const Bytes text(20000, 'x');
  const Bytes noise = [] {
    std::mt19937 random(1);
    Bytes bytes(20000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    return bytes;
  }();
  Cluster cluster(1);
  cluster[0].now = text;
  EXPECT_EQ(ways_of(cluster, 0, {}).front().way, Way::kZstd);
  cluster[0].now = noise;
  EXPECT_EQ(ways_of(cluster, 0, {}).front().way, Way::kPlanes);
}

}  // namespace
}  // namespace cairn
