// Goes on from where earlier transfers were killed, or gave up.
#pragma once

#include <vector>

#include "lib/transfer/left_packs.h"
#include "store/pack_writer.h"

namespace cairn {

/// Takes over the packs that are left, as far as their copies are wanted and whole: each is read
/// and checked, as when it arrives, by `threads` at once. `origin`: of this transfer. `packs`,
/// `journal`: of the new session; the journal is told first. What cannot be taken over is fetched
/// again: errors are those of the journal, and kCancelled. Memory: for each thread a copy, as it is
/// and decoded.
Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, unsigned threads,
                                const std::atomic<bool>* stop);

}  // namespace cairn
