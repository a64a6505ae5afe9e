// How the ranks of a call reach each other, over what the caller has lent.
#pragma once

#include <memory>

#include "gpu/transport.h"
#include "lib/rank_group.h"
#include "lib/staging.h"

namespace cairn {

/// Errors: kUsage for a group without functions, or a communicator and no staging; NCCL's.
Result<std::unique_ptr<gpu::Transport>> open_transport(const RankGroup& group, Staging* staging);

}  // namespace cairn
