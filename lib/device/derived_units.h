// What a device makes, in a slab's turn, of chunks that lie there: casts of them, which so need not
// cross over.
#pragma once

#include <span>
#include <vector>

#include "base/encodings/cast.h"
#include "lib/device/lane.h"
#include "lib/device/sent_codes.h"

namespace cairn {

/// What is to be made of a chunk on a device.
struct CastUnit {
  const uint8_t* base = nullptr;  ///< its bytes there, at a multiple of 16
  Cast cast = Cast::kF32ToBf16;
  uint64_t bytes = 0;  ///< that are made
  /// What corrects them: pack_codes() of residuals in tiles of cast_tile_items(), the codes at
  /// `codes` on the device. Null: nothing does.
  const PackedCodes* corrections = nullptr;
  const uint8_t* codes = nullptr;
};

uint64_t cast_tile_items(Cast cast);

/// Where each is once the lane's stream of work comes to what is enqueued later: in `arena`. What
/// has no room there beside what it holds is kNoSpace: cast_room() tells what is needed.
/// REQUIRES: all addresses lie in the lane's memory. Errors: kFailed.
Result<std::vector<uint8_t*>> cast_units(const Lane& lane, Arena& arena,
                                         std::span<const CastUnit> units);

/// What cast_units() takes of an arena for a unit of so many bytes, at most.
uint64_t cast_room(uint64_t bytes);

}  // namespace cairn
