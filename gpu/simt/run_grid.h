// Runs a kernel on the host as a device would: blocks of threads that meet at barriers and warps
// whose lanes exchange values, in an order that no kernel may count on. Every thread runs until it
// waits for others; who runs next is drawn by a seed, and so is how many blocks are under way at a
// time. A kernel that forgets a barrier gives other results under some seed, and under
// ThreadSanitizer, for which every thread of the kernel is one of its own, a report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/error.h"

namespace cairn::gpu::simt {

inline constexpr unsigned kWarpLanes = 32;
inline constexpr size_t kBlockMemoryBytes = size_t{48} << 10;  ///< what devices give unasked

struct Index {
  unsigned x = 0;
};

/// Runs `body` once for each thread of `blocks` blocks of `threads`, one host thread doing it all.
/// Errors: kUsage for a shape that devices refuse (threads not whole warps, above 1024, no block);
/// kFailed when threads wait for each other in vain: at a barrier that another thread of the block
/// never comes to, or in an exchange without all lanes of the warp.
/// Threads: any; each has its own grid.
Status run_grid(std::string_view name, unsigned blocks, unsigned threads,
                const std::function<void()>& body);

/// The shape's errors alone.
Status check_grid(std::string_view name, unsigned blocks, unsigned threads);

/// The order of all grids to come, and of what is enqueued in streams (faults.h), for tests.
/// Threads: any.
void set_schedule(uint64_t seed);

/// The blocks of the largest grid since the last call, for tests. Threads: the one that runs grids.
unsigned largest_grid();

// What the thread that is running now is, and what it does with others. REQUIRES: inside a grid.
Index thread_index();
Index block_index();
Index block_size();
Index grid_size();

/// Waits for all threads of the block; returns for how many `vote` was not 0.
int block_barrier(int vote = 0);
/// Waits for all lanes of the warp; memory is ordered among them.
void warp_barrier();
/// Waits for all lanes of the warp; returns what each gave, in the lane's own memory until its next
/// exchange. Memory is not ordered.
const uint64_t* warp_exchange(uint64_t value);
/// kBlockMemoryBytes of the block, the same for all its threads; at first they hold what no kernel
/// may count on.
void* block_memory();

}  // namespace cairn::gpu::simt
