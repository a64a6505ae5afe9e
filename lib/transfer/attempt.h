// One attempt at a transfer, step by step (docs/PROTOCOL.md, section 9). What it meets on the way
// may be a reason for another one.
#pragma once

#include <string>

#include "lib/transfer/cargo.h"
#include "lib/transfer/experience.h"
#include "lib/transfer/transfer.h"
#include "lib/transfer/transfer_plan.h"

namespace cairn {

/// `from`: the tag, where it lies now. `name`: in the destination. Errors: as transfer_tag.
Result<TransferResult> attempt_transfer(Checkpoint& from, const Cargo& cargo, const Store& to,
                                        const TransferRequest& request, const std::string& name,
                                        Experience& experience);

/// What the plan says of the tag, whose facts the result has.
void tell_plan(const TransferPlan& plan, TransferResult& result);

}  // namespace cairn
