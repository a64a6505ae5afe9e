// How the decoded bytes of chunks get from a slab on a device into targets there: by one scatter
// where they lie together and go into rows, with box copies before or after it where not.
#pragma once

#include <span>
#include <vector>

#include "gpu/gpu.h"
#include "lib/device/arena.h"
#include "lib/device/lane.h"
#include "lib/load_plan.h"

namespace cairn {

/// A box of a chunk, row-major in a slab, and who wants some of it.
struct SlabChunk {
  uint8_t* data = nullptr;  ///< at a multiple of 16
  Box box;
  uint64_t item_bytes = 1;
  std::span<const TargetBox* const> targets;
};

/// Enqueues it all in the lane's stream of work. What has no room in `arena` beside what is there
/// is kNoSpace: scatter_room() tells what is needed. Errors: kFailed.
Status scatter_chunks(const Lane& lane, Arena& arena, std::span<const SlabChunk> chunks);

/// What scatter_chunks() takes of an arena for a chunk, at most.
uint64_t scatter_room(const Box& box, uint64_t item_bytes,
                      std::span<const TargetBox* const> targets);

}  // namespace cairn
