// Ranks of a job as threads that meet in memory, as a caller of the library lends them.
#pragma once

#include <functional>
#include <vector>

#include "lib/rank_group.h"
#include "tests/gpu/fake_transport.h"

namespace cairn {

/// What `work` returns on each rank, with the group of that rank.
inline std::vector<Status> as_ranks(gpu::FakeGroup& group,
                                    const std::function<Status(unsigned, const RankGroup&)>& work) {
  return gpu::on_ranks(group.size(), [&](unsigned rank) -> Status {
    gpu::FakeHostGroup host(group, rank);
    RankGroup lent;
    lent.host = host.lent();
    lent.timeout = group.faults().timeout;
    Status done = work(rank, lent);
    group.leave(rank);
    return done;
  });
}

}  // namespace cairn
