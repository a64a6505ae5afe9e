// The plan of an update of a copy (lib/mirror.h): every box is a tensor by itself, with a grid of
// its own. What ranks, or boxes of one name, have in common is no matter to a copy.
#pragma once

#include <span>

#include "lib/save_plan.h"

namespace cairn {

/// Items in the order of the tensors, each of one box; what lies in one row is planned as one. Only
/// what chunks are made of is there: no schema, pages or layout. REQUIRES: the tensors outlive it.
/// Errors: kUsage naming the tensor: a box outside its shape, other strides than axes, no data.
Result<SavePlan> plan_mirror(std::span<const TensorSource> tensors, uint64_t chunk_elements);

}  // namespace cairn
