// What all operations check and choose before they enqueue kernels.
#pragma once

#include "gpu/kernel.h"
#include "gpu/tile.h"

namespace cairn::gpu {

/// Errors: kUsage, telling what the span is for, when it is too small or not aligned to 16 bytes.
Status check_room(const char* what, DeviceSpan span, uint64_t bytes);

/// Errors: kUsage, telling what the number is, when it is no multiple of `unit`.
Status check_multiple(const char* what, uint64_t number, uint64_t unit);

/// A grid for kernels whose threads each take every so-manieth of `items`. With a share, as many
/// blocks as multiprocessors may be taken, each of which fills one. REQUIRES: items > 0, a kernel
/// that may have 1024 threads.
Shape shape_for(uint64_t items, Share share);

}  // namespace cairn::gpu
