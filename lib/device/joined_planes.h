// What came to a device as planes becomes items there, before anyone reads it.
#pragma once

#include <span>
#include <vector>

#include "lib/device/lane.h"

namespace cairn {

/// What lies in a slab.
struct LandedUnit {
  uint64_t offset = 0;  ///< a multiple of 16
  uint64_t bytes = 0;
  unsigned plane_item_bytes = 0;  ///< it is planes of such items (lib/staged_calls.h); 0: it is not
};

/// Where each unit's bytes are once the lane's stream of work comes to what is enqueued later: in
/// the slab, or, where it came as planes, in `arena`. What has no room there beside what it holds
/// is kNoSpace: joined_room() tells what is needed. Errors: kFailed.
Result<std::vector<uint8_t*>> join_landed(const Lane& lane, Arena& arena, gpu::DeviceSpan slab,
                                          std::span<const LandedUnit> units);

/// What join_landed() takes of an arena for a unit of planes, at most.
uint64_t joined_room(uint64_t bytes);

}  // namespace cairn
