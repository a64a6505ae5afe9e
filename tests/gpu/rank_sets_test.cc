#include "gpu/rank_sets.h"

#include <gtest/gtest.h>

#include <numeric>

namespace cairn::gpu {
namespace {

std::vector<unsigned> members(const RankSets& sets, uint32_t set) {
  return {sets.ranks(set).begin(), sets.ranks(set).end()};
}

TEST(RankSets, AreKeptOnce) {
  RankSets sets(70);
  const std::vector<unsigned> some = {0, 3, 69}, others = {3, 68, 69};
  const uint32_t a = sets.number_of(some), b = sets.number_of(others);
  EXPECT_NE(a, b);
  EXPECT_EQ(sets.number_of(some), a);
  EXPECT_EQ(sets.size(), 3u);
  EXPECT_EQ(members(sets, a), some);
  EXPECT_EQ(members(sets, sets.meet(a, b)), (std::vector<unsigned>{3, 69}));
  EXPECT_EQ(sets.meet(b, a), sets.meet(a, b));
  EXPECT_EQ(sets.meet(a, RankSets::kEmpty), RankSets::kEmpty);
  EXPECT_TRUE(sets.contains(a, 69));
  EXPECT_FALSE(sets.contains(a, 68));
}

TEST(RankSets, AreNamed) {
  std::vector<unsigned> ranks(20);
  std::iota(ranks.begin(), ranks.end(), 5);
  const std::span<const unsigned> all = ranks;
  EXPECT_EQ(named_ranks(all.first(1)), "rank 5");
  EXPECT_EQ(named_ranks(all.first(2)), "ranks 5 and 6");
  EXPECT_EQ(named_ranks(all.first(3)), "ranks 5, 6 and 7");
  EXPECT_EQ(named_ranks(all), "ranks 5, 6, 7, 8, 9, 10, 11, 12 and 12 more");
}

}  // namespace
}  // namespace cairn::gpu
