// The hash at each word of a content, by a warp, and the words at which it is low enough.
//
// With g the mix of a word, the hash is h(i) = g(i) + 2 h(i - 1) modulo 2^32, so it is the sum of
// g(i - k) 2^k over the last 32 words. A lane has four words next to each other, which it sums up
// by itself; the sums of eight lanes, shifted, are the hash at its last word, and they are added by
// doubling. What lanes of the round before had is kept, so of a segment every word is read and
// mixed once.
#pragma once

#include "base/chunk_rule.h"
#include "gpu/chunk_space.h"
#include "gpu/kernel.h"
#include "gpu/scan.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

/// What lanes of the next round need of a round, after each step of adding up.
struct HashCarry {
  unsigned one = 0;    ///< a lane's own four words
  unsigned two = 0;    ///< with the lane before it
  unsigned four = 0;   ///< with the three before it
  unsigned eight = 0;  ///< with the seven before it: the hash at its last word
};

/// What the lane `delta` before this one has, which for the first lanes is in the round before.
CAIRN_DEVICE unsigned from_before(unsigned now, unsigned before, unsigned delta) {
  const unsigned given = lane_number() >= kWarp - delta ? before : now;
  return __shfl_sync(kWholeWarp, given, (lane_number() - delta) % kWarp);
}

CAIRN_DEVICE HashCarry add_up(unsigned own, const HashCarry& before) {
  HashCarry sum;
  sum.one = own;
  sum.two = sum.one + (from_before(sum.one, before.one, 1) << 4);
  sum.four = sum.two + (from_before(sum.two, before.two, 2) << 8);
  sum.eight = sum.four + (from_before(sum.four, before.four, 4) << 16);
  return sum;
}

struct FourMixes {
  unsigned g[4];
  CAIRN_DEVICE unsigned sum() const { return 8 * g[0] + 4 * g[1] + 2 * g[2] + g[3]; }
};
CAIRN_DEVICE FourMixes mixes_of(const uint4& words) {
  return {{word_mix(words.x), word_mix(words.y), word_mix(words.z), word_mix(words.w)}};
}

/// Four words from number `word` on; zeros for those that the content does not have.
CAIRN_DEVICE uint4 four_words(const DeviceSpan& content, uint64_t word) {
  const uint8_t* at = content.data + kWordBytes * word;
  if (kWordBytes * (word + 4) <= content.bytes) return load16(at);
  unsigned words[4] = {0, 0, 0, 0};
  for (unsigned i = 0; i < 4; ++i) {
    if (kWordBytes * (word + i + 1) > content.bytes) break;
    for (unsigned byte = 0; byte < 4; ++byte) words[i] |= unsigned{at[4 * i + byte]} << (8 * byte);
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/// The votes of a round.
struct RoundVotes {
  RoundMarks marks;
  unsigned count;
};
CAIRN_DEVICE RoundVotes vote(const FourMixes& mixes, unsigned hash_before, unsigned threshold,
                             unsigned words_allowed) {
  bool is_low[4];
  unsigned hash = hash_before;
  for (unsigned i = 0; i < 4; ++i) {
    hash = 2 * hash + mixes.g[i];
    is_low[i] = hash <= threshold && i < words_allowed;
  }
  RoundVotes votes{{{0, 0, 0, 0}}, 0};
  if (!__any_sync(kWholeWarp, is_low[0] || is_low[1] || is_low[2] || is_low[3])) return votes;
  for (unsigned i = 0; i < 4; ++i) {
    votes.marks.votes[i] = __ballot_sync(kWholeWarp, is_low[i]);
    votes.count += static_cast<unsigned>(__popc(votes.marks.votes[i]));
  }
  return votes;
}

/// Marks the candidates among the kSegmentWords from `first` on, if there are any, and returns how
/// many they are, to all lanes of the warp, which come here together.
CAIRN_DEVICE unsigned mark_candidates(const DeviceSpan& content, uint64_t first, unsigned threshold,
                                      RoundMarks* marks) {
  static constexpr unsigned kInFlight =
      4;  // rounds whose words are loaded before the first is mixed
  // A cut at the end of the content needs no candidate: words before it only.
  const uint64_t words = content.bytes == 0 ? 0 : (content.bytes - 1) / kWordBytes;
  const bool is_plain = reinterpret_cast<uintptr_t>(content.data) % 16 == 0 &&
                        kWordBytes * (first + kSegmentWords) <= content.bytes;
  HashCarry carry;
  if (first != 0) {
    // Eight lanes hold all that matters of the round before.
    const bool matters = lane_number() >= kWarp - 8;
    const uint64_t word = first - kRoundWords + 4 * lane_number();
    carry = add_up(matters ? mixes_of(four_words(content, word)).sum() : 0, {});
  }
  RoundMarks mine{{0, 0, 0, 0}};
  unsigned found = 0;
  for (unsigned round = 0; round < kSegmentRounds; round += kInFlight) {
    const uint64_t at = first + round * kRoundWords + 4 * lane_number();
    uint4 loaded[kInFlight];
    if (is_plain) {  // no branch between the loads, so all are under way together
      const auto* vectors = reinterpret_cast<const uint4*>(content.data + kWordBytes * at);
      for (unsigned i = 0; i < kInFlight; ++i) loaded[i] = vectors[i * kWarp];
    } else {
      for (unsigned i = 0; i < kInFlight; ++i) {
        loaded[i] = four_words(content, at + i * kRoundWords);
      }
    }
    for (unsigned i = 0; i < kInFlight; ++i) {
      const FourMixes mixes = mixes_of(loaded[i]);
      const HashCarry sums = add_up(mixes.sum(), carry);
      const uint64_t word = at + i * kRoundWords;
      const uint64_t left = word < words ? words - word : 0;
      const auto votes = vote(mixes, from_before(sums.eight, carry.eight, 1), threshold,
                              left < 4 ? static_cast<unsigned>(left) : 4u);
      if (lane_number() == round + i) mine = votes.marks;
      found += votes.count;
      carry = sums;
    }
  }
  if (found != 0) marks[lane_number()] = mine;  // nobody looks at those of others
  return found;
}

}  // namespace cairn::gpu
