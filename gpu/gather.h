// Puts the contents of dirty chunks side by side into a slab.
#pragma once

#include "gpu/device.h"
#include "gpu/digest_plan.h"

namespace cairn::gpu {

/// Copies `slab.bytes` of the slab of a set (gpu/dirty.h), from byte `begin` of it on: the contents
/// of dirty tiles, zeros between them. A slab that is too large for one span is gathered in
/// several; what lies behind the end of the set's is not written.
/// Errors: kUsage for a span or a `begin` that is not at a multiple of 16; kFailed.
Status gather(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan set,
              uint64_t begin, DeviceSpan slab, Share share = {});

}  // namespace cairn::gpu
