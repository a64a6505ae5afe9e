// Which form makes a block of residuals smallest, estimated from counts and a sample. Private to
// base/encodings.
#pragma once

#include "base/encodings/block.h"
#include "base/encodings/item_kernel.h"

namespace cairn {

struct BlockChoice {
  BlockForm form = BlockForm::kPlanes;
  uint8_t coded_planes = 0;  ///< of form kPlanes: which are worth entropy coding, a bit each
};

/// REQUIRES: the counts are those of the residuals, which are not all 0; at most kBlockItems.
BlockChoice choose_form(ByteSpan residuals, unsigned item_bytes, const ResidualCounts& counts,
                        Effort effort);

}  // namespace cairn
