// The order in which the copies of a plan are decoded, and how much memory it takes.
#pragma once

#include <functional>

#include "store/decode_plan.h"

namespace cairn {

/// The most decoded bytes that are alive at once when the plan's copies are decoded in its order
/// and each is given up after the last that is made from it.
uint64_t live_bytes_max(const DecodePlan& plan);

/// Reorders the plan so that few decoded copies are alive at once. A walk from one copy to all that
/// it is made from is best where many chains share little; but it decodes the whole chain of a
/// first moment before the second moments that need each of its copies. There decoding every copy
/// just in time keeps no more than a step or two. The better of both is taken.
void order_for_memory(DecodePlan& plan);

/// Calls visit(first, plan) with plans of wanted[first, first + plan.wanted.size()), one after the
/// other, in an order and in parts that take little memory: for decoded copies 64 times what the
/// largest wanted one has, or 64 MiB. Chains that savers make need about ten copies at once.
/// Errors: those of plan_decoding and `visit`; kCorrupt for a copy that by itself needs more.
Status plan_in_parts(Checkpoint& checkpoint, std::span<const CopyRef> wanted,
                     const std::function<Status(size_t first, const DecodePlan& plan)>& visit);

}  // namespace cairn
