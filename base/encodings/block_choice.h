// Which form makes a block of residuals smallest, estimated from counts and a sample. Private to
// base/encodings.
#pragma once

#include <array>

#include "base/encodings/bits.h"
#include "base/encodings/block.h"
#include "base/encodings/item_kernel.h"

namespace cairn {

/// What is smallest for each plane.
using PlaneCodings = std::array<RunCoding, 8>;

struct BlockChoice {
  BlockForm form = BlockForm::kPlanes;
  PlaneCodings planes{};  ///< of form kPlanes
  BitsPlan bits{};        ///< of form kBits; of others, if any, what to take if it is smaller
};

/// REQUIRES: the counts are those of the residuals, which are not all 0; at most kBlockItems.
BlockChoice choose_form(ByteSpan residuals, ByteSpan prediction, ItemForm form,
                        const ResidualCounts& counts, Effort effort);

}  // namespace cairn
