// Copies that come by themselves where the source makes them from others.
#pragma once

#include <vector>

#include "lib/cairn.hpp"
#include "lib/transfer/fetch.h"
#include "store/pack_writer.h"

namespace cairn {

/// Decodes in the source what `fetches` wants made so, and stores it by itself: `fetched` gets
/// where it lies, and is counted on. Memory: about kProofBytes a thread (lib/transfer/proof.h).
/// Errors: kCorrupt naming pack and offset; those of reading and writing; kCancelled.
Status make_alone(Checkpoint& from, const std::vector<Fetch>& fetches, PackWriter& packs,
                  unsigned threads, const CallOptions& call, Fetched& fetched);

}  // namespace cairn
