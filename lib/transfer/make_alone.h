// Copies that come by themselves where the source makes them from others.
#pragma once

#include <vector>

#include "lib/cairn.hpp"
#include "lib/transfer/transfer_plan.h"
#include "store/pack_writer.h"

namespace cairn {

/// Decodes in the source what `fetches` wants made so, and stores it by itself: `copies`, in their
/// order, get where it lies. Returns how many bytes were read. Memory: about kProofBytes a thread
/// (lib/transfer/proof.h). Errors: kCorrupt naming pack and offset; those of reading and writing;
/// kCancelled.
Result<uint64_t> make_alone(Checkpoint& from, const std::vector<Fetch>& fetches, PackWriter& packs,
                            unsigned threads, const CallOptions& call, std::vector<Copy>& copies);

}  // namespace cairn
