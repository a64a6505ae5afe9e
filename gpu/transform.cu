// Transforms whose prediction is a base, item by item.
#include "gpu/item_source.h"
#include "gpu/transform_kernels.h"

namespace cairn::gpu {

Status launch_plain(const TransformCall& call, unsigned item_bytes) {
  switch (item_bytes) {
    case 8:
      return launch_with<PlainSource<uint64_t>>(call);
    case 4:
      return launch_with<PlainSource<uint32_t>>(call);
    case 2:
      return launch_with<PlainSource<uint16_t>>(call);
    default:
      return launch_with<PlainSource<uint8_t>>(call);
  }
}

Status launch_derived(const TransformCall& call, unsigned item_bytes) {
  return item_bytes == 4 ? launch_with<DerivedSource<uint32_t>>(call)
                         : launch_with<DerivedSource<uint16_t>>(call);
}

}  // namespace cairn::gpu
