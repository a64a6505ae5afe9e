#include "tests/gpu/bad_kernel.h"

#include "gpu/kernel.h"

namespace cairn::gpu {

static __global__ void write_nowhere(unsigned* nowhere) { *nowhere = threadIdx.x; }

Status enqueue_bad_kernel() {
  return launch({}, {1, kWarp}, "write_nowhere", write_nowhere, static_cast<unsigned*>(nullptr));
}

}  // namespace cairn::gpu
