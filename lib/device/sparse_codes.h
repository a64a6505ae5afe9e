// What a device sends of items that hardly differ from those of before, as gpu/escape_coding.h
// makes it of one bit for each item: a map of those that differ, and their differences.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

struct SparseCodes {
  ByteSpan codes;   ///< a bit for each item, of all tiles
  ByteSpan runs;    ///< a gpu::EscapedRun for each tile
  ByteSpan values;  ///< the memory that runs point to
  uint64_t tile_items = 0;
  unsigned item_bytes = 1;  ///< 1, 2, 4 or 8
};

/// Makes of items as they were what they are. Errors: kFailed when codes, runs and values do not
/// fit each other: a device, or its memory, has failed.
Status apply_xor(const SparseCodes& sparse, MutableBytes items);

}  // namespace cairn
