// The form of a block in which few items are not 0: how many zeros lie before each of them, and
// what they are, less 1 (docs/FORMAT.md, section 7.2). Private to base/encodings.
#pragma once

#include "base/bytes.h"
#include "base/encodings/item_form.h"

namespace cairn {

struct GapSizes {
  size_t items = 0, gap_bytes = 0;
};

/// REQUIRES: room for all items in `gaps` (a byte each) and in `values`.
GapSizes pack_gaps(ByteSpan residuals, unsigned item_bytes, uint8_t* gaps, uint8_t* values);

/// Corrects the items of a prediction that the gaps lead to, and no others; without a prediction,
/// `items` are zeros and become the values. False when gaps and values do not fit the items.
bool correct_gaps(ByteSpan gaps, ByteSpan values, ItemForm form, bool is_prediction,
                  MutableBytes items);

}  // namespace cairn
