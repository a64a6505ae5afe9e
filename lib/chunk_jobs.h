// Turns for the threads that go through the chunks of a plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/save_groups.h"
#include "lib/save_plan.h"

namespace cairn {

/// Consecutive chunks of one group.
struct ChunkRun {
  const SaveGroup* group = nullptr;
  uint64_t first = 0, count = 0;
};

/// A thread's turn: enough bytes that the digest's lanes stay full and locks are rare, little
/// enough that gathered chunks stay in the cache.
using ChunkJob = std::vector<ChunkRun>;

/// All chunks of the groups, in order. REQUIRES: groups of the plan's items, which outlive the
/// jobs.
std::vector<ChunkJob> make_jobs(const SavePlan& plan, std::span<const SaveGroup* const> groups);

}  // namespace cairn
