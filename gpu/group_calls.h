// Calls of the job's CPU group, with what they answer as a status.
#pragma once

#include <chrono>

#include "base/bytes.h"
#include "base/error.h"
#include "base/host_group.h"

namespace cairn::gpu {

/// Errors: kUsage for a group without functions or with a rank that it does not have.
Status check_group(const HostGroup& group);

// Errors: kUnreachable naming who did not come, where the group says that; kFailed with its words.

/// REQUIRES: `all` is as many times as long as `own` as the group has ranks.
Status gather_in(const HostGroup& group, std::chrono::milliseconds timeout, ByteSpan own,
                 MutableBytes all);
Status broadcast_in(const HostGroup& group, std::chrono::milliseconds timeout, MutableBytes data,
                    unsigned root);

/// Whether a wait may go on; nothing of a group without that function.
Status look_in(const HostGroup& group);

}  // namespace cairn::gpu
