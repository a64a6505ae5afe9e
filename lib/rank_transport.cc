#include "lib/rank_transport.h"

#include "gpu/memory_transport.h"

namespace cairn {

Result<std::unique_ptr<gpu::Transport>> open_transport(const RankGroup& group, Staging* staging) {
  if (group.nccl == nullptr) {
    CAIRN_TRY(auto transport, gpu::MemoryTransport::make(group.host, group.timeout));
    return transport;
  }
  if (staging != nullptr) return staging->join(group);
  return fail(
      Code::kUsage, "ranks are to meet over NCCL, and there is no staging",
      "make one with cairn_staging_new() (C++: open_staging()), or lend functions of the job's "
      "CPU group");
}

}  // namespace cairn
