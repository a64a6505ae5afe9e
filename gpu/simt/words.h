// The words of CUDA C++ that kernels of Cairn use, for a host compiler: the same sources run on
// gpu/simt/run_grid.h. What is not here, no kernel uses; whole warps only, grids of one dimension.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "gpu/simt/run_grid.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's
#define __global__
#define __launch_bounds__(...)

#define threadIdx (::cairn::gpu::simt::thread_index())
#define blockIdx (::cairn::gpu::simt::block_index())
#define blockDim (::cairn::gpu::simt::block_size())
#define gridDim (::cairn::gpu::simt::grid_size())

namespace cairn::gpu {

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }

inline void __syncthreads() { simt::block_barrier(); }
inline int __syncthreads_or(int vote) { return simt::block_barrier(vote) != 0; }
inline void __syncwarp(unsigned = ~0u) { simt::warp_barrier(); }

namespace simt {
template <class T>
uint64_t as_word(T value) {
  static_assert(sizeof(T) <= 8);
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  return word;
}
template <class T>
T from_word(uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}
inline unsigned lane() { return thread_index().x % kWarpLanes; }
}  // namespace simt

template <class T>
T __shfl_sync(unsigned, T value, unsigned from) {
  return simt::from_word<T>(simt::warp_exchange(simt::as_word(value))[from % simt::kWarpLanes]);
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned delta) {
  const uint64_t* taken = simt::warp_exchange(simt::as_word(value));
  return simt::lane() < delta ? value : simt::from_word<T>(taken[simt::lane() - delta]);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {
  return simt::from_word<T>(simt::warp_exchange(simt::as_word(value))[simt::lane() ^ mask]);
}
inline unsigned __ballot_sync(unsigned, int vote) {
  const uint64_t* taken = simt::warp_exchange(vote != 0);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < simt::kWarpLanes; ++lane) {
    votes |= static_cast<unsigned>(taken[lane]) << lane;
  }
  return votes;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }

template <class T>
T atomicAdd(T* address, T value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* address, T value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}

template <class T>
T __ldg(const T* address) {
  return *address;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((uint64_t{high} << 32) | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t bytes = (uint64_t{b} << 32) | a;
  unsigned out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    out |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  }
  return out;
}

// One IEEE operation each; the file that includes this is compiled without contraction.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __double2float_rn(double a) { return static_cast<float>(a); }
inline long long __double_as_longlong(double a) { return std::bit_cast<long long>(a); }
inline double __longlong_as_double(long long a) { return std::bit_cast<double>(a); }
inline unsigned __float_as_uint(float a) { return std::bit_cast<unsigned>(a); }
inline float __uint_as_float(unsigned a) { return std::bit_cast<float>(a); }

}  // namespace cairn::gpu
// NOLINTEND(bugprone-reserved-identifier)
