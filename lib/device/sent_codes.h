// What a device sends of items that are hardly other than predicted, as gpu/escape_coding.h makes
// it: a code of one or two bits for each residual, and those that are too large for theirs.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "gpu/coded_memory.h"

namespace cairn {

struct SentCodes {
  unsigned bits = 1;  ///< of a code: 1, or 2
  ByteSpan codes;     ///< of all tiles
  ByteSpan runs;      ///< a gpu::EscapedRun for each tile
  ByteSpan values;    ///< the memory that runs point to
  uint64_t tile_items = 0;
  unsigned item_bytes = 1;  ///< 1, 2, 4 or 8
};

/// Fills in the residuals, of item_bytes each. Errors: kFailed when codes, runs and values do not
/// fit each other: a device, or its memory, has failed.
Status unpack_codes(const SentCodes& sent, MutableBytes residuals);

/// The inverse, for a device to decode: one bit for each item that is not 0, and behind the codes,
/// at a multiple of 16, the values that runs point to. Both begin in `bytes`.
struct PackedCodes {
  Bytes bytes;
  std::vector<gpu::EscapedRun> runs;  ///< of each tile; their offsets are from the first of `bytes`
};
/// REQUIRES: items of 2 or 4 bytes, whole tiles but for the last.
PackedCodes pack_codes(ByteSpan residuals, unsigned item_bytes, uint64_t tile_items);

}  // namespace cairn
