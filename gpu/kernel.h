// What the sources of kernels begin with. nvcc compiles them for devices; a host compiler compiles
// the same files against gpu/simt/words.h, and tests run every kernel that way too.
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "gpu/device.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define CAIRN_DEVICE __device__ __forceinline__
#define CAIRN_DEVICE_CALL static __device__ __noinline__
#define CAIRN_CONSTANT __grid_constant__  // a parameter that is read where it lies
#else
#include "gpu/simt/queues.h"
#include "gpu/simt/words.h"
#define CAIRN_DEVICE inline
#define CAIRN_DEVICE_CALL inline
#define CAIRN_CONSTANT
#endif

namespace cairn::gpu {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kWholeWarp = 0xffffffff;

/// The block's T in shared memory, not initialized. A kernel names one T only.
/// T: no constructors, at most 48 KiB.
template <class T>
CAIRN_DEVICE T& shared() {
#ifdef __CUDACC__
  __shared__ T memory;
  return memory;
#else
  static_assert(sizeof(T) <= simt::kBlockMemoryBytes);
  return *static_cast<T*>(simt::block_memory());
#endif
}

// The part of the work that a thread, or a warp, begins with, and how many there are.
CAIRN_DEVICE uint64_t first_thread() { return uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
CAIRN_DEVICE uint64_t all_threads() { return uint64_t{gridDim.x} * blockDim.x; }
CAIRN_DEVICE uint64_t first_warp() { return first_thread() / kWarp; }
CAIRN_DEVICE uint64_t all_warps() { return all_threads() / kWarp; }
CAIRN_DEVICE unsigned lane_number() { return threadIdx.x % kWarp; }
CAIRN_DEVICE unsigned warp_number() { return threadIdx.x / kWarp; }

/// Memory as T's, at a multiple of their size: devices fail at any other address, the host as one
/// must not forgive it.
template <class T>
CAIRN_DEVICE T* aligned(std::conditional_t<std::is_const_v<T>, const uint8_t, uint8_t>* memory) {
#ifndef __CUDACC__
  if (reinterpret_cast<uintptr_t>(memory) % sizeof(T) != 0) __builtin_trap();
#endif
  return reinterpret_cast<T*>(memory);
}

/// A grid of one dimension. REQUIRES: 1 to 2^31 - 1 blocks of 1 to 32 whole warps.
struct Shape {
  unsigned blocks = 1;
  unsigned threads = 256;  ///< of a block
};

/// Enqueues a kernel, or loads it (KernelLoading). Its parameters are copied. Errors: kFailed for
/// what the device said, which may be of work that was enqueued before.
template <class... Parameters, class... Arguments>
Status launch(Stream stream, const Shape& shape, const char* name, void (*kernel)(Parameters...),
              Arguments&&... arguments) {
  std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
#ifdef __CUDACC__
  return std::apply(
      [&](auto&... value) {
        const auto* function = reinterpret_cast<const void*>(kernel);
        if (KernelLoading::is_on()) {
          cudaFuncAttributes attributes;
          return launched(name, cudaFuncGetAttributes(&attributes, function));
        }
        void* pointers[] = {&value...};
        return launched(
            name, cudaLaunchKernel(function, dim3(shape.blocks), dim3(shape.threads), pointers, 0,
                                   static_cast<cudaStream_t>(stream.handle)));
      },
      values);
#else
  if (KernelLoading::is_on()) return {};
  return simt::launch_grid(stream, name, shape.blocks, shape.threads,
                           [kernel, values] { std::apply(kernel, values); });
#endif
}

}  // namespace cairn::gpu
