// Where a cut of contents keeps what it works with, in its workspace. For gpu/chunker_plan.h and
// its kernels.
#pragma once

#include "gpu/chunker_plan.h"

namespace cairn::gpu {

inline constexpr unsigned kSegmentRounds = 32;
inline constexpr unsigned kRoundWords = 128;  ///< four for each lane of a warp
inline constexpr uint64_t kSegmentWords = kSegmentRounds * kRoundWords;
inline constexpr unsigned kGroupSegments = 256;
inline constexpr unsigned kLinkedStarts = 1024;  ///< that are contracted at a time
inline constexpr unsigned kNoStart = ~0u;

/// What cut() says at the head of the chunks.
inline constexpr uint64_t kCutsMade = 0, kTooManyCandidates = 1;

/// Where a chunk may begin.
struct Start {
  uint64_t position;  ///< in its buffer
  uint64_t buffer;
};

/// To the start after the chunks that begin here.
struct Link {
  unsigned next;
  unsigned chunks;
  uint64_t leaves;  ///< of the digests of these chunks
};

/// Where the chain enters a run of kLinkedStarts, and what is before it.
struct Entry {
  unsigned start;  ///< kNoStart where it passes them by
  unsigned chunks;
  uint64_t leaves;
};

/// For each round of a segment, the candidates among its words as four votes of the lanes: bit l of
/// vote j is word 4 l + j.
struct alignas(16) RoundMarks {
  unsigned votes[4];
};

/// Parts of the workspace, in order; each at a multiple of 16.
struct ChunkSpace {
  uint64_t segments = 0, buffers = 0, starts_most = 0;

  uint64_t groups() const { return ceil_div(segments, kGroupSegments); }
  uint64_t runs() const { return ceil_div(starts_most, kLinkedStarts); }

  uint64_t count_at() const { return 0; }  ///< of starts
  uint64_t groups_at() const { return 16; }
  uint64_t counts_at() const { return groups_at() + padded(4 * groups()); }
  uint64_t marks_at() const { return counts_at() + padded(4 * segments); }
  uint64_t roots_at() const { return marks_at() + sizeof(RoundMarks) * kSegmentRounds * segments; }
  uint64_t starts_at() const { return roots_at() + padded(4 * (buffers + 1)); }
  uint64_t links_at() const { return starts_at() + sizeof(Start) * starts_most; }
  uint64_t exits_at() const { return links_at() + sizeof(Link) * starts_most; }
  uint64_t entries_at() const { return exits_at() + sizeof(Link) * starts_most; }
  uint64_t bytes() const { return entries_at() + sizeof(Entry) * runs(); }

 private:
  static uint64_t padded(uint64_t bytes) { return round_up(bytes, 16); }
};

}  // namespace cairn::gpu
