// A unit of a save of which some bytes are on a device, on its way.
#pragma once

#include <optional>
#include <vector>

#include "lib/chunk_units.h"
#include "lib/device/content.h"
#include "lib/device/lane.h"

namespace cairn {

struct StagedPiece {
  DigestedUnit* unit = nullptr;
  Content content;
  Lane* lane = nullptr;                      ///< null: carried by plain copies
  std::optional<Content> before = {};        ///< the same box as it was, on the same device
  std::optional<Digest> before_digest = {};  ///< what that must be to be of use
};

/// A chunk and those of its units that are on devices.
struct ChunkPieces {
  ChunkUnits chunk;
  std::vector<StagedPiece> pieces;
};

}  // namespace cairn
