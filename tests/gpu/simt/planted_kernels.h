// Kernels with and without what they need: threads of a block read what others wrote.
#pragma once

#include "gpu/kernel.h"

namespace cairn::gpu {

inline constexpr unsigned kPlantedThreads = 128;

struct PlantedMemory {
  unsigned items[kPlantedThreads];
};

/// Reverses the items of each block through shared memory.
template <bool kHasBarrier>
__global__ void reverse_block(unsigned* items) {
  PlantedMemory& memory = shared<PlantedMemory>();
  unsigned* mine = items + blockIdx.x * blockDim.x;
  memory.items[threadIdx.x] = mine[threadIdx.x];
  if (kHasBarrier) __syncthreads();
  mine[threadIdx.x] = memory.items[blockDim.x - 1 - threadIdx.x];
}

/// Reverses the items of each warp.
template <bool kHasBarrier>
__global__ void reverse_warp(unsigned* items) {
  PlantedMemory& memory = shared<PlantedMemory>();
  unsigned* mine = items + blockIdx.x * blockDim.x;
  memory.items[threadIdx.x] = mine[threadIdx.x];
  if (kHasBarrier) __syncwarp();
  mine[threadIdx.x] = memory.items[threadIdx.x ^ 31];
}

/// Counts in one place of global memory.
template <bool kIsAtomic>
__global__ void count_threads(unsigned* counter) {
  if (kIsAtomic) {
    atomicAdd(counter, 1u);
  } else {
    const unsigned before = *counter;
    __syncwarp();
    *counter = before + 1;
  }
}

/// Shifts items through the warp; an exchange orders values, not memory.
inline __global__ void sum_by_exchange(unsigned* items) {
  unsigned sum = items[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned delta = 16; delta > 0; delta /= 2) {
    sum += __shfl_xor_sync(kWholeWarp, sum, delta);
  }
  items[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

inline __global__ void leave_before_the_barrier(unsigned* items) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  items[threadIdx.x] = 1;
}

inline __global__ void exchange_without_a_lane(unsigned* items) {
  if (threadIdx.x != 40) items[threadIdx.x] = __ballot_sync(kWholeWarp, 1);
}

}  // namespace cairn::gpu
