// Goes on from where earlier transfers were killed, or gave up.
#pragma once

#include <optional>
#include <vector>

#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"
#include "store/pack_writer.h"

namespace cairn {

struct Resumed {
  /// Per fetch, where it lies now; bases as in Fetched. Empty: nothing was left.
  std::vector<std::optional<Copy>> copies;
  uint64_t bytes = 0;                      ///< stored, of those
  std::vector<std::string> journals = {};  ///< to be removed once the tag is there
  std::vector<std::string> notes = {};     ///< what could not be taken over, and why
};

/// Takes over the packs that are left, as far as their copies are wanted and whole: each is read
/// and checked, as when it arrives, by `threads` at once. `origin`: of this transfer; whoever moves
/// another tag needs its journals no more. `packs`, `journal`: of the new session; the journal is
/// told first. What cannot be taken over is fetched again: errors are those of the journal, and
/// kCancelled. Memory: for each thread a copy, as it is and decoded.
Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, unsigned threads,
                                const std::atomic<bool>* stop);

}  // namespace cairn
