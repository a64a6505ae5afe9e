// What holds of every plan of an exchange, said in another way than the plan is made.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "tests/gpu/rank_states.h"

namespace cairn::gpu {

inline Digest digest_at(const DrawnState& state, uint64_t unit, unsigned rank) {
  size_t place = 0;
  for (uint64_t before = 0; before < unit; ++before) place += state.holds(before, rank);
  return state.digests[rank][place];
}

/// Each digest's ranks, the majority first.
inline std::vector<ReplicaSide> expected_sides(const DrawnState& state, uint64_t unit) {
  std::map<Digest, std::vector<unsigned>> found;
  for (const unsigned rank : state.holders(unit))
    found[digest_at(state, unit, rank)].push_back(rank);
  std::vector<ReplicaSide> sides;
  for (auto& [digest, ranks] : found) sides.push_back({digest, ranks});
  std::sort(sides.begin(), sides.end(), [](const ReplicaSide& a, const ReplicaSide& b) {
    if (a.ranks.size() != b.ranks.size()) return a.ranks.size() > b.ranks.size();
    return a.ranks[0] < b.ranks[0];
  });
  return sides;
}

/// Every unit has a writer of its majority; clusters that can be are whole; contents are counted
/// once at each writer; what differs is told, and nothing else.
inline void expect_properties(const DrawnState& state, const ExchangePlan& plan) {
  ASSERT_EQ(plan.writers.size(), state.units.size());
  ASSERT_EQ(plan.bytes.size(), state.ranks);
  std::vector<uint64_t> bytes(state.ranks);
  std::map<std::tuple<Digest, uint64_t, unsigned>, uint32_t> first;
  std::map<uint32_t, std::vector<uint32_t>> clusters;
  size_t told = 0;
  for (uint32_t unit = 0; unit < state.units.size(); ++unit) {
    const std::vector<ReplicaSide> sides = expected_sides(state, unit);
    const unsigned writer = plan.writers[unit];
    EXPECT_TRUE(std::count(sides[0].ranks.begin(), sides[0].ranks.end(), writer)) << unit;
    const auto [at, is_first] =
        first.try_emplace({sides[0].digest, state.units[unit].bytes, writer}, unit);
    EXPECT_EQ(plan.same_as[unit], at->second);
    if (is_first) bytes[writer] += state.units[unit].bytes;
    clusters[state.units[unit].cluster].push_back(unit);
    EXPECT_EQ(sides.size() > 1, state.planted.count(unit) == 1) << unit;
    if (sides.size() == 1) continue;
    ASSERT_LT(told, plan.disagreements.size());
    EXPECT_EQ(plan.disagreements[told].unit, unit);
    EXPECT_EQ(plan.disagreements[told++].sides, sides);
  }
  EXPECT_EQ(told, plan.disagreements.size());
  EXPECT_EQ(plan.bytes, bytes);
  for (const auto& [cluster, units] : clusters) {
    for (unsigned rank = 0; rank < state.ranks; ++rank) {
      const bool has_all = std::all_of(units.begin(), units.end(), [&](uint32_t unit) {
        const auto ranks = expected_sides(state, unit)[0].ranks;
        return std::count(ranks.begin(), ranks.end(), rank) != 0;
      });
      if (!has_all) continue;
      for (const uint32_t unit : units) EXPECT_EQ(plan.writers[unit], plan.writers[units[0]]);
    }
  }
}

/// Bytes that no way of dealing can bring below, on the rank with most: of all sets of ranks, what
/// only they hold. REQUIRES: no twins, nothing that differs, few ranks.
inline uint64_t least_load(const DrawnState& state) {
  uint64_t least = 0;
  std::map<unsigned, uint64_t> bytes;  // by holders, as bits
  for (uint32_t unit = 0; unit < state.units.size(); ++unit) {
    unsigned bits = 0;
    for (const unsigned rank : state.holders(unit)) bits |= 1u << rank;
    bytes[bits] += state.units[unit].bytes;
  }
  for (unsigned set = 1; set < 1u << state.ranks; ++set) {
    uint64_t held = 0;
    for (const auto& [bits, sum] : bytes)
      if ((bits & ~set) == 0) held += sum;
    least = std::max(least, ceil_div(held, static_cast<uint64_t>(std::popcount(set))));
  }
  return least;
}

inline uint64_t largest_cluster(const DrawnState& state) {
  std::map<uint32_t, uint64_t> bytes;
  uint64_t largest = 0;
  for (const ExchangeUnit& unit : state.units)
    largest = std::max(largest, bytes[unit.cluster] += unit.bytes);
  return largest;
}

}  // namespace cairn::gpu
