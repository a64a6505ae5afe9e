// What CUDA's runtime says, as values.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace cairn::gpu {

/// The failure that an error number is, which is taken away from the runtime: it is told here, and
/// by nobody else. REQUIRES: not cudaSuccess.
Status cuda_failure(cudaError_t error, std::string_view doing);

/// At the end of an object's life, where nobody can be told: the error is taken away from the
/// runtime, so that code of others does not meet it. One after which the device takes no more work
/// stays, for the next call to tell; that the runtime has gone before, at the process' end, is
/// none.
inline void drop_error(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorCudartUnloading) {
    static_cast<void>(cudaGetLastError());
  }
}

/// `doing` is a text, or a call that makes one where it is needed.
template <class Doing>
Status cuda_status(cudaError_t error, const Doing& doing) {
  if (error == cudaSuccess) return {};
  if constexpr (std::is_invocable_v<Doing>) {
    return cuda_failure(error, doing());
  } else {
    return cuda_failure(error, doing);
  }
}

}  // namespace cairn::gpu
