// Which copies of a checkpoint are best decoded together: those that are made from the same others.
#pragma once

#include <span>
#include <vector>

#include "store/bases.h"
#include "store/checkpoint.h"

namespace cairn {

/// Groups of numbers of `refs`, each in increasing order: two copies are in one group when one is
/// made from the other or both from a third. A copy that stands alone, with no bases, is in none.
/// A copy met through several groups joins them. Memory: about 40 bytes for each copy met.
/// Errors: kCorrupt for a base that does not exist.
Result<std::vector<std::vector<uint32_t>>> group_chains(Checkpoint& checkpoint,
                                                        std::span<const CopyRef> refs);

}  // namespace cairn
