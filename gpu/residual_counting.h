// Counts of the residuals of chunks, from which hosts choose a form. For kernels.
#pragma once

#include "gpu/escape_coding.h"

namespace cairn::gpu {

template <class U>
class ResidualCounting {
 public:
  struct Memory {
    uint64_t sums[kTileWarps];
    uint64_t bits[kTileWarps];
  };

  CAIRN_DEVICE static void put(const CodedMemory& coded, const TileItems<U>& tile,
                               const ItemVector<U> (&residuals)[kTileRounds], Memory& memory) {
    unsigned found[3] = {0, 0, 0};  // zeros, ones, twos
    uint64_t bits = 0;
#pragma unroll
    for (unsigned round = 0; round < kTileRounds; ++round) {
#pragma unroll
      for (unsigned i = 0; i < ItemVector<U>::kItems; ++i) {
        const U item = residuals[round].at(i);
        for (unsigned value = 0; value < 3; ++value) found[value] += item == value ? 1 : 0;
        bits |= item;
      }
    }
    const uint64_t sums =
        found[0] | uint64_t{found[1]} << kField | uint64_t{found[2]} << 2 * kField;
    add_up(coded.counts[tile.chunk_number], sums, bits, TileItems<U>::kItems - tile.count, memory);
  }

 private:
  static constexpr unsigned kField = 20;
  static_assert(TileItems<U>::kItems < 1u << kField);

  /// Items that are not there were counted as zeros.
  CAIRN_DEVICE static void add_up(ChunkCounts& counts, uint64_t sums, uint64_t bits,
                                  unsigned absent, Memory& memory) {
    for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) {
      sums += __shfl_xor_sync(kWholeWarp, sums, distance);
      bits |= __shfl_xor_sync(kWholeWarp, bits, distance);
    }
    if (threadIdx.x % kWarp == 0) {
      memory.sums[threadIdx.x / kWarp] = sums;
      memory.bits[threadIdx.x / kWarp] = bits;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (unsigned i = 1; i < kTileWarps; ++i) {
      sums += memory.sums[i];
      bits |= memory.bits[i];
    }
    constexpr uint64_t kMask = (1u << kField) - 1;
    add_atomically(&counts.zeros, (sums & kMask) - absent);
    if (bits == 0) return;
    add_atomically(&counts.ones, sums >> kField & kMask);
    add_atomically(&counts.twos, sums >> 2 * kField);
    or_atomically(&counts.bits, bits);
  }
};

}  // namespace cairn::gpu
