// Goes on from where an earlier transfer of the tag was killed, or gave up.
#pragma once

#include <optional>
#include <vector>

#include "lib/transfer/left_packs.h"
#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"
#include "store/pack_writer.h"

namespace cairn {

struct Resumed {
  /// Per fetch, where it lies now; bases as in Fetched. Empty: nothing was left.
  std::vector<std::optional<Copy>> copies;
  uint64_t bytes = 0;                   ///< stored, of those
  std::vector<std::string> notes = {};  ///< what could not be taken over, and why
};

/// Takes over the packs that are left of `origin`, as far as their copies are wanted and whole:
/// each is read and checked, as when it arrives, by `threads` at once. `packs`, `journal`: of the
/// new session; the journal is told first. What cannot be taken over is fetched again: errors are
/// those of the journal, and kCancelled. Memory: for each thread a copy, as it is and decoded.
Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, unsigned threads,
                                const std::atomic<bool>* stop);

/// What resume_arrivals() would take over now, by the journals and the lengths of the packs: no
/// copy is read, and nothing changed. What is not whole is counted too.
LeftBytes look_at_left(const Store& to, const Origin& origin, const std::vector<Fetch>& fetches);

}  // namespace cairn
