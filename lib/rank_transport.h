// How the ranks of a call reach each other, over what the caller has lent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpu/transport.h"
#include "lib/rank_group.h"
#include "lib/staging.h"

namespace cairn {

/// For what ranks tell each other. Errors: kUsage for a group without functions, or a communicator
/// and no staging; NCCL's.
Result<std::unique_ptr<gpu::Transport>> open_transport(const RankGroup& group, Staging* staging);

/// For what ranks pass on.
struct RankWay {
  std::unique_ptr<gpu::Transport> host;     // lives longer than what meets there
  std::unique_ptr<gpu::Transport> devices;  // null: over the host
  std::vector<std::string> notes;           // for the result

  bool is_on_devices() const { return devices != nullptr; }
  /// All go on over the host: what a note says of why. REQUIRES: both ways; all ranks do so.
  std::string leave_devices(const Error& why);
  gpu::Transport& transport() const { return is_on_devices() ? *devices : *host; }
};

/// Over the caller's communicator, or one that the ranks make where the group asks for it: else,
/// and when any rank cannot, over its functions. Errors: as open_transport(); kUsage for a group
/// that asks for both. REQUIRES: all ranks call it at the same time.
Result<RankWay> open_way(const RankGroup& group, Staging* staging);

}  // namespace cairn
