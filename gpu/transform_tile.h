// Which items a block of threads takes at a time, and which of them each thread: sixteen bytes in
// each of kTileRounds rounds, threads beside each other taking what lies beside. For kernels.
#pragma once

#include "gpu/item_vector.h"
#include "gpu/kernel.h"
#include "gpu/search.h"
#include "gpu/transform_work.h"

namespace cairn::gpu {

template <class U>
struct TileItems {
  static constexpr unsigned kVectorItems = ItemVector<U>::kItems;
  static constexpr unsigned kItems = kTileBytes / sizeof(U);

  uint64_t number;  ///< of the tile in its plan
  uint64_t chunk_number;
  const ChunkRecord& chunk;
  uint64_t first;  ///< its first item in the chunk
  unsigned count;  ///< items, fewer than kItems at the end of a chunk

  CAIRN_DEVICE TileItems(const TransformWork& work, uint64_t tile)
      : number(tile),
        chunk_number(find_range_together(work.first_tiles, work.chunk_count, tile)),
        chunk(work.chunks[chunk_number]),
        first((tile - work.first_tiles[chunk_number]) * kItems) {
    const uint64_t left = chunk.count - first;
    count = left < kItems ? static_cast<unsigned>(left) : kItems;
  }

  /// Where in the tile the thread's items of a round begin.
  CAIRN_DEVICE static unsigned offset(unsigned round) {
    return (round * kTileThreads + threadIdx.x) * kVectorItems;
  }
  /// How many of these there are, 0 to kVectorItems.
  CAIRN_DEVICE unsigned present(unsigned round) const {
    const unsigned begin = offset(round);
    const unsigned left = begin < count ? count - begin : 0;
    return left < kVectorItems ? left : kVectorItems;
  }
  CAIRN_DEVICE uint8_t* items(unsigned round) const {
    return chunk.items + (first + offset(round)) * sizeof(U);
  }
};

}  // namespace cairn::gpu
