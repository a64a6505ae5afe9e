// Transforms whose prediction is an optimizer's step.
#include "gpu/replay_source.h"
#include "gpu/transform_kernels.h"

namespace cairn::gpu {

Status launch_replay(const TransformCall& call, unsigned item_bytes) {
  return item_bytes == 4 ? launch_with<ReplaySource<uint32_t>>(call)
                         : launch_with<ReplaySource<uint16_t>>(call);
}

}  // namespace cairn::gpu
