// States of ranks as drawn: who holds which units, of which content.
#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "gpu/exchange_plan.h"

namespace cairn::gpu {

inline Digest numbered_digest(uint64_t number) { return blake3(as_bytes(&number, sizeof number)); }

struct DrawnState {
  unsigned ranks = 1;
  std::vector<ExchangeUnit> units;
  std::vector<UnitMap> maps;                 // of each rank
  std::vector<std::vector<Digest>> digests;  // of each rank, of what it holds
  std::set<uint64_t> planted;                // units whose replicas differ

  bool holds(uint64_t unit, unsigned rank) const {
    return (maps[rank][unit / 64] >> (unit % 64) & 1) != 0;
  }
  std::vector<unsigned> holders(uint64_t unit) const {
    std::vector<unsigned> found;
    for (unsigned rank = 0; rank < ranks; ++rank)
      if (holds(unit, rank)) found.push_back(rank);
    return found;
  }
};

/// How a state is drawn.
struct Drawing {
  unsigned ranks_most = 8;
  uint64_t units_most = 300;
  unsigned cluster_most = 4;  ///< units of one
  bool is_nested = false;     ///< holders of any two units are nested or disjoint
  double twins = 0.2;         ///< how many have the content of another unit
  double differing = 0.05;    ///< how many have replicas that differ
};

/// Holders: a run of ranks that a halving of all of them gives, or any.
inline std::vector<unsigned> draw_holders(std::mt19937_64& random, unsigned ranks, bool is_nested) {
  std::vector<unsigned> holders;
  if (is_nested) {
    unsigned begin = 0, end = ranks;
    while (end - begin > 1 && random() % 3 != 0) {
      const unsigned middle = (begin + end) / 2;
      (random() % 2 == 0 ? begin : end) = middle;
    }
    for (unsigned rank = begin; rank < end; ++rank) holders.push_back(rank);
    return holders;
  }
  for (unsigned rank = 0; rank < ranks; ++rank)
    if (random() % 2 == 0) holders.push_back(rank);
  if (holders.empty()) holders.push_back(static_cast<unsigned>(random() % ranks));
  return holders;
}

inline DrawnState draw_state(uint64_t seed, const Drawing& drawing) {
  std::mt19937_64 random(seed);
  const auto happens = [&](double chance) {
    return static_cast<double>(random() % 1'000'000) < chance * 1'000'000;
  };
  DrawnState state;
  state.ranks = 1 + static_cast<unsigned>(random() % drawing.ranks_most);
  const uint64_t units = random() % (drawing.units_most + 1);
  state.maps.assign(state.ranks, UnitMap(unit_map_words(units)));
  state.digests.resize(state.ranks);
  std::vector<Digest> contents;
  std::vector<unsigned> holders;
  for (uint64_t unit = 0, left = 0, cluster = 0; unit < units; ++unit) {
    if (left == 0) {
      left = 1 + random() % drawing.cluster_most;
      cluster = unit;
      holders = draw_holders(random, state.ranks, drawing.is_nested);
    } else if (!drawing.is_nested && random() % 8 == 0) {
      holders = draw_holders(random, state.ranks, false);  // a cluster that is cut
    }
    --left;
    uint64_t like = happens(drawing.twins) && unit > 0 ? random() % unit : unit;
    state.units.push_back(
        {like == unit ? random() % 1000 : state.units[like].bytes, static_cast<uint32_t>(cluster)});
    contents.push_back(like == unit ? numbered_digest(unit) : contents[like]);
    const bool differs = holders.size() > 1 && happens(drawing.differing);
    if (differs) state.planted.insert(unit);
    for (const unsigned rank : holders) {
      state.maps[rank][unit / 64] |= uint64_t{1} << (unit % 64);
      const bool is_odd = differs && (rank == holders[0] || random() % 3 == 0);
      // Not all may be odd alike: the last holder has the content itself.
      state.digests[rank].push_back(is_odd && rank != holders.back()
                                        ? numbered_digest(1'000'000 + 3 * unit + random() % 3)
                                        : contents[unit]);
    }
  }
  return state;
}

inline Result<ReplicaTable> table_of(const DrawnState& state) {
  CAIRN_TRY(ReplicaTable table, ReplicaTable::make(state.units.size(), state.maps));
  for (unsigned rank = 0; rank < state.ranks; ++rank)
    CAIRN_CHECK(table.add(rank, state.digests[rank]));
  CAIRN_CHECK(table.settle());
  return table;
}

}  // namespace cairn::gpu
