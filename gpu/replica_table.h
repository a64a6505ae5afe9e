// What ranks hold of the replicated state of a job: of each unit who has it, and its digest. Equal
// replicas are kept once, so that a million units on any number of ranks are 36 bytes each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "gpu/rank_sets.h"

namespace cairn::gpu {

/// Which units a rank holds: bit i % 64 of word i / 64 is unit i.
using UnitMap = std::vector<uint64_t>;

/// Words of the map of so many units.
inline uint64_t unit_map_words(uint64_t units) { return units / 64 + (units % 64 != 0); }

inline void add_unit(UnitMap& map, uint64_t unit) { map[unit / 64] |= uint64_t{1} << (unit % 64); }
inline bool has_unit(const UnitMap& map, uint64_t unit) {
  return (map[unit / 64] >> (unit % 64) & 1) != 0;
}

/// Which units any rank holds, and which more than one.
struct HeldUnits {
  UnitMap any, several;
};
/// REQUIRES: one map at least, all of one length.
HeldUnits held_units(std::span<const UnitMap> maps);

/// Ranks that have the same bytes of a unit.
struct ReplicaSide {
  Digest digest;
  std::vector<unsigned> ranks;  ///< in order

  bool operator==(const ReplicaSide&) const = default;
};

/// A unit whose holders have different bytes.
struct Disagreement {
  uint64_t unit = 0;
  /// Most ranks first; of equally many, those with the lowest rank. The first is the *majority*.
  std::vector<ReplicaSide> sides;

  bool operator==(const Disagreement&) const = default;
};

/// Filled by maps first, then by digests, then settled. Threads: one at a time.
class ReplicaTable {
 public:
  static constexpr uint64_t kUnitsMost = uint64_t{1} << 31;

  /// `maps`: one of each rank. Errors: kUsage for no map, more units than kUnitsMost, a map of
  /// another length or with bits beyond the units, a unit that no rank holds; each names what.
  static Result<ReplicaTable> make(uint64_t units, std::vector<UnitMap> maps);

  uint64_t units() const { return holders_.size(); }
  unsigned ranks() const { return static_cast<unsigned>(cursors_.size()); }
  /// How many units the rank holds.
  uint64_t held(unsigned rank) const { return cursors_[rank].held; }

  /// The next digests of what the rank holds, in the order of units. Errors: kUsage for more than
  /// it holds.
  Status add(unsigned rank, std::span<const Digest> digests);
  /// After the last digest. Errors: kUsage naming a rank that has not told all of its own.
  Status settle();

  // Once it is settled.

  /// In the order of units.
  const std::vector<Disagreement>& disagreements() const { return disagreements_; }
  /// Of the majority.
  std::span<const Digest> digests() const { return digests_; }
  /// The ranks that have those bytes, as a number of sets().
  std::span<const uint32_t> holders() const { return holders_; }
  RankSets& sets() { return sets_; }

 private:
  struct Cursor {
    UnitMap map;
    uint64_t held = 0, told = 0;
    uint64_t word = 0, rest = 0;  // what of the map is to come: of this word, these bits
  };
  struct Odd {  // a digest that is not the one that came first
    uint32_t unit;
    unsigned rank;
    Digest digest;
  };

  explicit ReplicaTable(unsigned ranks) : sets_(ranks) {}
  Status find_holders(uint64_t units);
  Disagreement sides_of(std::span<const Odd> odd) const;

  RankSets sets_;
  std::vector<Cursor> cursors_;
  std::vector<uint32_t> holders_;
  std::vector<Digest> digests_;
  UnitMap known_;  // the units of which a digest has come
  std::vector<Odd> odd_;
  std::vector<Disagreement> disagreements_;
};

}  // namespace cairn::gpu
