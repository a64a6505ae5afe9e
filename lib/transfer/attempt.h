// One attempt at a transfer, step by step (docs/PROTOCOL.md, section 9). What it meets on the way
// may be a reason for another one.
#pragma once

#include "lib/transfer/experience.h"
#include "lib/transfer/transfer_plan.h"

namespace cairn {

/// Errors: as transfer_tag.
Result<TransferResult> attempt_transfer(const Errand& errand);

/// What the plan says of the tag, whose facts the result has.
void tell_plan(const TransferPlan& plan, TransferResult& result);

}  // namespace cairn
