// Blocks: up to 65536 items in one of several forms, the smallest for what they are
// (docs/FORMAT.md, section 7.2). Small enough that all work on one stays in a core's cache.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/encodings/byte_run.h"
#include "base/encodings/item_form.h"
#include "base/error.h"

namespace cairn {

inline constexpr size_t kBlockItems = 65536;

enum class BlockForm : uint8_t { kSame = 0, kPlanes = 1, kQuads = 2, kGaps = 3, kBits = 4 };

/// Appends one block of items (never residuals) and returns its form, kSame for zeros or kPlanes.
/// REQUIRES: 1 to kBlockItems items of `item_bytes` (1, 2, 4, 8). Threads: any.
BlockForm append_items(ByteSpan items, unsigned item_bytes, Effort effort, Bytes& out);

/// Appends one block of the residuals of `items` to `prediction`, which is of the same size.
BlockForm append_residuals(ByteSpan items, ByteSpan prediction, ItemForm form, Effort effort,
                           Bytes& out);

/// Takes one block off the front of `stored` and fills `items` with what it holds.
/// Errors: kCorrupt, kNewerFormat (a form this version does not know).
Status read_items(ByteSpan& stored, unsigned item_bytes, MutableBytes items);
/// The same, but fills `planes`, which is as large, with the planes of the items, one after the
/// other: what a block in planes holds, and no more is done to it.
Status read_item_planes(ByteSpan& stored, unsigned item_bytes, MutableBytes planes);
/// Whether the residuals of the first block can only be read by correct_items(): it tells them in
/// an order of what is predicted.
bool needs_prediction(ByteSpan stored);

/// Takes one block of residuals off the front of `stored`; `items` holds the prediction before and
/// the corrected items after. A block in gaps or bits touches only what differs. Sets `met` to the
/// form it has.
Status correct_items(ByteSpan& stored, ItemForm form, MutableBytes items, BlockForm& met);

}  // namespace cairn
