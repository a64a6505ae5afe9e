// Loads by ranks that want the same: one of them reads a chunk, and all that want some of it get it
// by broadcast (docs/GPU.md, "Ranks").
#pragma once

#include "lib/cairn.hpp"

namespace cairn {

/// load(), called by all ranks of the group at the same time, each with targets of its own, of the
/// same tag. Chunks that several want are read, decoded and checked by one, and passed on: over the
/// functions of the job's CPU group from the host's memory, over NCCL from a device's, by a
/// communicator of the caller's or one that is made for this load; what only one wants it reads for
/// itself. The result is that of this rank. Errors: as load(); those of
/// other ranks, naming them; kUsage for another tag, or a group without functions; kUnreachable
/// naming who did not come. Memory, of the host or the communicator's device: two buckets of 64
/// MiB, or of the chunks of one parameter where these are more; of the host: 1 bit for each chunk
/// and rank.
Result<LoadResult> load_together(Checkpoint& checkpoint, const LoadRequest& request,
                                 const RankGroup& group);

}  // namespace cairn
