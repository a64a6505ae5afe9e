// How a set of dirty chunks lies in memory. For gpu/dirty.h and its kernels.
#pragma once

#include "gpu/dirty.h"

namespace cairn::gpu {

inline constexpr uint64_t kSlabAlignment = 16;

/// Where chunks after one of `bytes` may begin.
constexpr uint64_t slab_bytes(uint64_t bytes) { return round_up(bytes, kSlabAlignment); }

inline constexpr unsigned kDirtyGroup = 1024;  ///< chunks that a block of threads takes at a time

constexpr uint64_t dirty_groups(uint64_t chunks) { return ceil_div(chunks, kDirtyGroup); }
constexpr uint64_t dirty_words(uint64_t chunks) { return ceil_div(chunks, 32); }
constexpr uint64_t dirty_mark_end(uint64_t chunks) {
  return slab_bytes(sizeof(DirtyHead) + 4 * dirty_words(chunks));
}

/// The head, the bits in words of 32, the chunks; and what each group adds to the head, then what
/// all before it do.
struct DirtySet {
  DirtyHead* head;
  unsigned* words;
  DirtyChunk* chunks;
  DirtyHead* groups;
};
inline DirtySet dirty_set(uint8_t* memory, uint64_t chunks) {
  auto* listed = reinterpret_cast<DirtyChunk*>(memory + dirty_mark_end(chunks));
  return {reinterpret_cast<DirtyHead*>(memory),
          reinterpret_cast<unsigned*>(memory + sizeof(DirtyHead)), listed,
          reinterpret_cast<DirtyHead*>(listed + chunks)};
}

}  // namespace cairn::gpu
