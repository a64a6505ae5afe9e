#include "gpu/rank_sets.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace cairn::gpu {

static constexpr size_t kNamed = 8;  // the others are counted

std::string named_ranks(std::span<const unsigned> ranks) {
  if (ranks.size() == 1) return fmt::format("rank {}", ranks[0]);
  const bool are_all = ranks.size() <= kNamed;
  const auto listed = ranks.first(are_all ? ranks.size() - 1 : kNamed);
  const std::string list = fmt::format("ranks {}", fmt::join(listed, ", "));
  if (are_all) return fmt::format("{} and {}", list, ranks.back());
  return fmt::format("{} and {} more", list, ranks.size() - kNamed);
}

RankSets::RankSets(unsigned ranks) : ranks_(ranks), words_(ranks / 64 + (ranks % 64 != 0)) {
  number(std::vector<uint64_t>(words_));
}

static uint64_t hash_of(std::span<const uint64_t> bits) {
  uint64_t hash = 0;
  for (const uint64_t word : bits)
    hash = (std::rotl(hash, 29) ^ word) * 0x9E37'79B9'7F4A'7C15 + 1;  // any odd number
  return hash;
}

uint32_t RankSets::number(std::span<const uint64_t> bits) {
  const uint64_t hash = hash_of(bits);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (std::equal(bits.begin(), bits.end(),
                   bits_.begin() + static_cast<ptrdiff_t>(it->second * words_)))
      return it->second;
  const auto set = static_cast<uint32_t>(members_.size());
  bits_.insert(bits_.end(), bits.begin(), bits.end());
  std::vector<unsigned>& members = members_.emplace_back();
  for (unsigned rank = 0; rank < ranks_; ++rank)
    if (contains(set, rank)) members.push_back(rank);
  by_hash_.emplace(hash, set);
  return set;
}

uint32_t RankSets::number_of(std::span<const unsigned> ranks) {
  std::vector<uint64_t> bits(words_);
  for (const unsigned rank : ranks) bits[rank / 64] |= uint64_t{1} << (rank % 64);
  return number(bits);
}

uint32_t RankSets::meet(uint32_t a, uint32_t b) {
  if (a == b) return a;
  const uint64_t key = uint64_t{std::min(a, b)} << 32 | std::max(a, b);
  const auto known = met_.find(key);
  if (known != met_.end()) return known->second;
  std::vector<uint64_t> bits(words_);
  for (size_t i = 0; i < words_; ++i) bits[i] = bits_[a * words_ + i] & bits_[b * words_ + i];
  const uint32_t both = number(bits);
  met_.emplace(key, both);
  return both;
}

}  // namespace cairn::gpu
