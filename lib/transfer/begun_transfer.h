// Where an attempt stands once it knows what to do: a session beside a tag of the destination, and
// the plan of what must be fetched.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/save_session.h"
#include "lib/transfer/experience.h"
#include "lib/transfer/transfer_plan.h"

namespace cairn {

struct BegunTransfer {
  std::unique_ptr<SaveSession> session;  ///< whose lease protects the base; null: a dry run
  TransferPlan plan;
  std::string base;                  ///< the tag that is built upon; empty: none
  std::vector<FileId> reused_packs;  ///< of copies that a look-up found elsewhere
};

/// Chooses the base, takes the lease, and plans; anew without a base that cannot be used, which the
/// errand's experience then knows. Errors: those of reading the source, which that tells apart, of
/// beginning a session, and kCancelled.
Result<BegunTransfer> begin_transfer(const Errand& errand);

}  // namespace cairn
