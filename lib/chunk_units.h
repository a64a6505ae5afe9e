// The chunks of a save on their way: what they are, where their bytes lie, what was decided of
// them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "base/digest.h"
#include "lib/chunk_writer.h"
#include "lib/save_groups.h"
#include "lib/save_plan.h"

namespace cairn {

/// A unit, where its bytes lie, and what they are.
struct DigestedUnit {
  Unit unit;
  OwnPlace place;
  uint64_t bytes = 0;
  DigestInput rows = {};   ///< in the host's memory; unset while they are only on a device
  bool is_copied = false;  ///< they are a copy that nobody changes
  ByteSpan before = {};    ///< what the base has of the same box, if somebody has read it
  Digest digest = {};
  bool is_wanted = false;  ///< it is to be stored
};

/// Chunks of the items of a group that are encoded together.
struct ChunkUnits {
  const SaveGroup* group = nullptr;
  uint64_t chunk = 0;
  std::vector<DigestedUnit> units;         ///< of all items, in the group's order
  std::vector<AlignedBuffer> copies = {};  ///< where units lie that were copied to be kept
};

/// What is said of a tensor that was other bytes when it was digested than when it was copied.
inline tl::unexpected<Error> changed_while_read(const std::string& name) {
  return fail(Code::kUsage, "tensor '" + name + "' changed while it was read",
              "let nothing write to it until the call returns, or says so, or give a copy");
}

}  // namespace cairn
