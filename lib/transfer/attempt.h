// One attempt at a transfer, step by step (docs/PROTOCOL.md, section 9). What it meets on the way
// may be a reason for another one.
#pragma once

#include <string>
#include <vector>

#include "lib/transfer/cargo.h"
#include "lib/transfer/transfer.h"
#include "lib/transfer/transfer_plan.h"

namespace cairn {

/// What attempts have met.
struct Experience {
  bool lost_look_up = false;           ///< what look-ups find is gone at the end
  std::vector<Reference> passed_over;  ///< tables of tags that are not built upon
  std::vector<std::string> notes;      ///< what was passed over, and why; each once
  uint64_t received_bytes = 0;         ///< as in TransferResult, of all attempts
  bool failed_at_source = false;       ///< the last one, while it read the source
  bool is_worth_another = false;       ///< the last one left what it fetched to the next
};

/// `from`: the tag, where it lies now. `name`: in the destination. Errors: as transfer_tag.
Result<TransferResult> attempt_transfer(Checkpoint& from, const Cargo& cargo, const Store& to,
                                        const TransferRequest& request, const std::string& name,
                                        Experience& experience);

/// What the plan says of the tag, whose facts the result has.
void tell_plan(const TransferPlan& plan, TransferResult& result);

}  // namespace cairn
