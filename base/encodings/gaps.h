// Few items among many that are alike: how many of these lie before each of them, and what they are
// (docs/FORMAT.md, section 7.2: a form of blocks and a coding of runs). Private to base/encodings.
#pragma once

#include "base/bytes.h"
#include "base/encodings/item_form.h"

namespace cairn {

struct GapSizes {
  size_t items = 0, gap_bytes = 0;
};

/// The items that are not 0, less 1. REQUIRES: room for all items in `gaps` (a byte each) and in
/// `values`.
GapSizes pack_gaps(ByteSpan residuals, unsigned item_bytes, uint8_t* gaps, uint8_t* values);
/// The bytes that are not `common`, as they are.
GapSizes pack_byte_gaps(ByteSpan bytes, uint8_t common, uint8_t* gaps, uint8_t* values);

/// Whether there can be so many. Each takes a byte, and one more for 255 items passed over.
constexpr bool is_gap_count(size_t items, size_t gap_bytes, size_t count) {
  return items > 0 && items <= count && gap_bytes >= items &&
         gap_bytes <= items + (count - items) / 255;
}

// All three change the items that the gaps lead to, and no others; false when gaps and values do
// not fit the items.

/// Corrects a prediction.
bool correct_gaps(ByteSpan gaps, ByteSpan values, ItemForm form, MutableBytes items);
/// Makes zeros what was packed.
bool fill_gaps(ByteSpan gaps, ByteSpan values, unsigned item_bytes, MutableBytes items);
bool fill_byte_gaps(ByteSpan gaps, ByteSpan values, MutableBytes bytes);

}  // namespace cairn
