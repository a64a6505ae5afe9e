// Sums over the threads of a block. For kernels.
#pragma once

#include "gpu/kernel.h"
#include "gpu/transform_work.h"

namespace cairn::gpu {

inline constexpr unsigned kTileWarps = kTileThreads / kWarp;

struct ScannedSum {
  uint64_t before;  ///< of the threads before this one
  uint64_t all;     ///< of the block
};

/// Several numbers may share a value if none of their sums reaches the next one's bits.
/// Waits for all threads of the block. REQUIRES: nobody reads or writes `sums` since a barrier.
CAIRN_DEVICE ScannedSum scan_block(uint64_t value, uint64_t (&sums)[kTileWarps]) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  uint64_t up_to_here = value;
#pragma unroll
  for (unsigned distance = 1; distance < kWarp; distance *= 2) {
    const uint64_t other = __shfl_up_sync(kWholeWarp, up_to_here, distance);
    if (lane >= distance) up_to_here += other;
  }
  if (lane == kWarp - 1) sums[warp] = up_to_here;
  __syncthreads();
  ScannedSum scanned{up_to_here - value, 0};
#pragma unroll
  for (unsigned i = 0; i < kTileWarps; ++i) {
    if (i < warp) scanned.before += sums[i];
    scanned.all += sums[i];
  }
  return scanned;
}

}  // namespace cairn::gpu
