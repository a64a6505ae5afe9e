#include "gpu/replica_table.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include <fmt/format.h>

namespace cairn::gpu {

HeldUnits held_units(std::span<const UnitMap> maps) {
  HeldUnits held{UnitMap(maps.front().size()), UnitMap(maps.front().size())};
  for (const UnitMap& map : maps) {
    for (size_t word = 0; word < map.size(); ++word) {
      held.several[word] |= held.any[word] & map[word];
      held.any[word] |= map[word];
    }
  }
  return held;
}

Result<ReplicaTable> ReplicaTable::make(uint64_t units, std::vector<UnitMap> maps) {
  if (units > kUnitsMost)
    return fail(Code::kUsage, fmt::format("{} units are more than {}", units, kUnitsMost));
  if (maps.empty()) return fail(Code::kUsage, "no rank holds anything: there is none");
  ReplicaTable table(static_cast<unsigned>(maps.size()));
  const unsigned over = units % 64;
  for (size_t rank = 0; rank < maps.size(); ++rank) {
    UnitMap& map = maps[rank];
    if (map.size() != unit_map_words(units))
      return fail(Code::kUsage, fmt::format("rank {} has a map of {} words for {} units", rank,
                                            map.size(), units));
    if (over != 0 && map.back() >> over != 0)
      return fail(Code::kUsage, fmt::format("rank {} holds units beyond all {}", rank, units));
    Cursor& cursor = table.cursors_.emplace_back();
    for (const uint64_t word : map) cursor.held += static_cast<uint64_t>(std::popcount(word));
    if (!map.empty()) cursor.rest = map[0];
    cursor.map = std::move(map);
  }
  CAIRN_CHECK(table.find_holders(units));
  table.digests_.resize(units);
  table.known_.resize(unit_map_words(units));
  return table;
}

/// Neighbours mostly have the same holders, so a set is looked up only where a rank's bits change.
Status ReplicaTable::find_holders(uint64_t units) {
  holders_.resize(units);
  std::vector<uint64_t> column(sets_.words());
  uint32_t set = RankSets::kEmpty;
  for (uint64_t word = 0; word < unit_map_words(units); ++word) {
    uint64_t changes = 1;  // from the unit before to this one; where a word begins, maybe
    for (const Cursor& cursor : cursors_) changes |= cursor.map[word] ^ cursor.map[word] << 1;
    const uint64_t end = std::min<uint64_t>(64, units - word * 64);
    for (uint64_t bit = 0; bit < end; ++bit) {
      if ((changes >> bit & 1) != 0) {
        std::fill(column.begin(), column.end(), 0);
        for (size_t rank = 0; rank < cursors_.size(); ++rank)
          column[rank / 64] |= (cursors_[rank].map[word] >> bit & 1) << (rank % 64);
        set = sets_.number(column);
        if (set == RankSets::kEmpty)
          return fail(Code::kUsage, fmt::format("no rank holds unit {}", word * 64 + bit));
      }
      holders_[word * 64 + bit] = set;
    }
  }
  return {};
}

Status ReplicaTable::add(unsigned rank, std::span<const Digest> digests) {
  Cursor& cursor = cursors_[rank];
  if (digests.size() > cursor.held - cursor.told)
    return fail(Code::kUsage, fmt::format("rank {} tells more digests than the {} units it holds",
                                          rank, cursor.held));
  cursor.told += digests.size();
  for (const Digest& digest : digests) {
    while (cursor.rest == 0) cursor.rest = cursor.map[++cursor.word];
    const uint64_t bit = cursor.rest & -cursor.rest;
    const uint64_t unit = cursor.word * 64 + static_cast<unsigned>(std::countr_zero(bit));
    cursor.rest ^= bit;
    if ((known_[cursor.word] & bit) == 0) {
      known_[cursor.word] |= bit;
      digests_[unit] = digest;
    } else if (digests_[unit].bytes != digest.bytes) {
      odd_.push_back({static_cast<uint32_t>(unit), rank, digest});
    }
  }
  return {};
}

Disagreement ReplicaTable::sides_of(std::span<const Odd> odd) const {
  const uint32_t unit = odd[0].unit;
  Disagreement made{unit, {{digests_[unit], {}}}};
  size_t next = 0;
  for (const unsigned rank : sets_.ranks(holders_[unit])) {
    const bool is_odd = next < odd.size() && odd[next].rank == rank;
    const Digest& digest = is_odd ? odd[next++].digest : digests_[unit];
    auto side = std::find_if(made.sides.begin(), made.sides.end(),
                             [&](const ReplicaSide& each) { return each.digest == digest; });
    if (side == made.sides.end()) side = made.sides.insert(side, {digest, {}});
    side->ranks.push_back(rank);
  }
  std::sort(made.sides.begin(), made.sides.end(), [](const auto& a, const auto& b) {
    return std::tuple(b.ranks.size(), a.ranks[0]) < std::tuple(a.ranks.size(), b.ranks[0]);
  });
  return made;
}

Status ReplicaTable::settle() {
  for (unsigned rank = 0; rank < ranks(); ++rank)
    if (const Cursor& cursor = cursors_[rank]; cursor.told != cursor.held)
      return fail(Code::kUsage, fmt::format("rank {} has told the digests of {} of the {} units it "
                                            "holds",
                                            rank, cursor.told, cursor.held));
  std::sort(odd_.begin(), odd_.end(), [](const Odd& a, const Odd& b) {
    return std::tuple(a.unit, a.rank) < std::tuple(b.unit, b.rank);
  });
  for (size_t begin = 0, end = 0; begin < odd_.size(); begin = end) {
    while (end < odd_.size() && odd_[end].unit == odd_[begin].unit) ++end;
    Disagreement made = sides_of(std::span(odd_).subspan(begin, end - begin));
    digests_[made.unit] = made.sides[0].digest;
    holders_[made.unit] = sets_.number_of(made.sides[0].ranks);
    disagreements_.push_back(std::move(made));
  }
  odd_ = {};
  return {};
}

}  // namespace cairn::gpu
