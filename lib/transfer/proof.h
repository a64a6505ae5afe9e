// Whether what was fetched and is made from other copies decodes to what it should.
#pragma once

#include <atomic>

#include "lib/transfer/transfer_plan.h"

namespace cairn {

/// `checkpoint`: the source's tag, or the one that has arrived: the stored bytes are the same on
/// both sides. Memory: about 64 MiB a thread. Errors: kCorrupt naming pack and offset; kCancelled;
/// those of reading.
Status prove_fetched(Checkpoint& checkpoint, const Cargo& cargo, const TransferPlan& plan,
                     unsigned threads, const std::atomic<bool>* stop);
inline constexpr uint64_t kProofBytes = 64 * kMiB;  ///< of a thread

}  // namespace cairn
