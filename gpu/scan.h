// Sums over the threads of a warp and of a block, in their order. For kernels.
#pragma once

#include "gpu/kernel.h"

namespace cairn::gpu {

/// The sum of the values of all lanes up to this one. All lanes of the warp come here together.
template <class T>
CAIRN_DEVICE T warp_sum_up_to(T value) {
  for (unsigned delta = 1; delta < kWarp; delta *= 2) {
    const T other = __shfl_up_sync(kWholeWarp, value, delta);
    if (lane_number() >= delta) value += other;
  }
  return value;
}

/// Of blocks of kWarps warps; of up to 32 where that is not said.
template <class T, unsigned kWarps = kWarp>
struct BlockSumMemory {
  T of_warps[kWarps];
};

template <class T>
struct BlockSum {
  T before;  ///< of all threads before this one
  T total;
};

/// Several numbers may share a value if none of their sums reaches the next one's bits. All threads
/// of the block come here together; `memory` is free again after the next barrier.
template <class T, unsigned kWarps>
CAIRN_DEVICE BlockSum<T> block_sum(T value, BlockSumMemory<T, kWarps>& memory) {
  const T up_to = warp_sum_up_to(value);
  if (lane_number() == kWarp - 1) memory.of_warps[warp_number()] = up_to;
  __syncthreads();
  if constexpr (kWarps <= 8) {
    BlockSum<T> sum{up_to - value, T{0}};
#pragma unroll
    for (unsigned warp = 0; warp < kWarps; ++warp) {
      if (warp < warp_number()) sum.before += memory.of_warps[warp];
      sum.total += memory.of_warps[warp];
    }
    return sum;
  }
  const unsigned warps = blockDim.x / kWarp;
  T of_warps = lane_number() < warps ? memory.of_warps[lane_number()] : T{0};
  of_warps = warp_sum_up_to(of_warps);
  const T total = __shfl_sync(kWholeWarp, of_warps, warps - 1);
  const T before_warp =
      __shfl_sync(kWholeWarp, of_warps, warp_number() == 0 ? 0 : warp_number() - 1);
  return {up_to - value + (warp_number() == 0 ? T{0} : before_warp), total};
}

}  // namespace cairn::gpu
