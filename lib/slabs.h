// Cutting a tensor into boxes that follow each other in its bytes, so that it can be read in
// bounded memory.
#pragma once

#include <vector>

#include "lib/tensor.h"

namespace cairn {

/// Boxes of elements in the order of their bytes, of about slab_bytes_max bytes at most; where the
/// chunk grid allows, they end on its edges, so that no chunk is read twice. A tensor of sub-byte
/// elements that can only be addressed whole is one slab. Errors: as storage_form.
Result<std::vector<Box>> cut_slabs(Dtype dtype, const Shape& shape, uint64_t chunk_elements,
                                   uint64_t slab_bytes_max);

}  // namespace cairn
