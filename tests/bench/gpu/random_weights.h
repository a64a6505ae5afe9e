#pragma once

#include "tests/bench/gpu/operation.h"

namespace cairn::gpu {

/// `count` buffers of `bytes` BF16 values each, drawn from a normal distribution. REQUIRES: whole
/// MiB. Errors: kNoSpace when the device has no such room; kFailed.
Result<BenchData> random_weights(uint64_t bytes, size_t count);

}  // namespace cairn::gpu
