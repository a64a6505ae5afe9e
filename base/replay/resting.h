// Rows that a step did not touch, as of an embedding or of an expert that nothing chose.
#pragma once

#include "base/bytes.h"

namespace cairn {

/// Whether many items of a first moment only decayed, as they do where the gradient is 0. Looks at
/// a few of them. REQUIRES: F32 items, as many before as now.
bool has_resting(ByteSpan now, ByteSpan before);

}  // namespace cairn
