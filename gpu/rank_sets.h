// Sets of ranks, each kept once and known by a number: a state of a million units has few of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace cairn::gpu {

/// "rank 3", "ranks 1, 2 and 5"; of many only the first few. REQUIRES: not empty.
std::string named_ranks(std::span<const unsigned> ranks);

/// Numbers are given in the order in which sets are met. Threads: one at a time.
class RankSets {
 public:
  static constexpr uint32_t kEmpty = 0;

  /// For ranks 0 to `ranks` - 1.
  explicit RankSets(unsigned ranks);

  unsigned rank_count() const { return ranks_; }
  /// Of 64 bits each; a set has so many.
  size_t words() const { return words_; }

  /// REQUIRES: words() words, no bit beyond the ranks.
  uint32_t number(std::span<const uint64_t> bits);
  /// REQUIRES: below rank_count().
  uint32_t number_of(std::span<const unsigned> ranks);
  /// The ranks in both.
  uint32_t meet(uint32_t a, uint32_t b);

  /// In order.
  std::span<const unsigned> ranks(uint32_t set) const { return members_[set]; }
  bool contains(uint32_t set, unsigned rank) const {
    return (bits_[set * words_ + rank / 64] >> (rank % 64) & 1) != 0;
  }
  /// How many sets were met.
  size_t size() const { return members_.size(); }

 private:
  unsigned ranks_;
  size_t words_;
  std::vector<uint64_t> bits_;
  std::vector<std::vector<unsigned>> members_;
  std::unordered_multimap<uint64_t, uint32_t> by_hash_;
  std::unordered_map<uint64_t, uint32_t> met_;
};

}  // namespace cairn::gpu
