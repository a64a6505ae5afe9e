// What all operations check and choose before they enqueue kernels.
#pragma once

#include "gpu/kernel.h"
#include "gpu/tile.h"

namespace cairn::gpu {

/// Errors: kUsage, telling what the span is for, when it is too small or not aligned to 16 bytes.
Status check_room(const char* what, DeviceSpan span, uint64_t bytes);

/// Errors: kUsage, telling what the number is, when it is no multiple of `unit`.
Status check_multiple(const char* what, uint64_t number, uint64_t unit);

// Grids for kernels that take their work in strides. With a share there are as many blocks as
// multiprocessors may be taken, for a device spreads blocks over all it has.

/// A thread for each of `items`, or fewer. With a share each block has 1024 threads, so that it
/// fills a multiprocessor. REQUIRES: items > 0, a kernel bounded by 1024 threads.
Shape shape_for(uint64_t items, Share share);
/// A block of so many threads for each of `blocks`, or fewer. REQUIRES: blocks > 0.
Shape shape_of_blocks(uint64_t blocks, unsigned threads, Share share);

}  // namespace cairn::gpu
