// The plan of a load: which copies to read, each once, in the order in which they lie, and where
// their bytes go. Made before the first byte of a pack is read.
#pragma once

#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/strided.h"
#include "store/checkpoint.h"

namespace cairn {

/// A box of the caller's memory in storage coordinates.
struct TargetBox {
  size_t tensor = 0;  ///< in the schema
  Box box;
  StridedTarget memory;
  uint64_t item_bytes = 1;  ///< of the stored items
  Dtype stored = Dtype::kU8;
  Dtype wanted = Dtype::kU8;
};

/// One chunk or piece that some target needs.
struct ReadUnit {
  Copy copy;
  Digest digest;  ///< unused where inline_bytes are set
  Bytes inline_bytes;
  size_t item = 0;  ///< tensor, or tensor count + attachment
  uint64_t chunk = 0;
  Box box;  ///< of the unit, in storage coordinates
  std::vector<size_t> targets;
};

struct LoadPlan {
  std::vector<TargetBox> targets;
  std::vector<ReadUnit> units;  ///< inline ones first, then by pack and offset
  uint64_t bytes = 0;           ///< that targets receive
};

/// Errors: kUsage with everything that does not fit, in words; kCorrupt.
Result<LoadPlan> plan_load(Checkpoint& checkpoint, const LoadRequest& request);

}  // namespace cairn
