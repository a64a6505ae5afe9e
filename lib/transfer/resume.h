// Goes on from where an earlier transfer of the tag was killed, or gave up.
#pragma once

#include <optional>
#include <vector>

#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"
#include "store/pack_writer.h"

namespace cairn {

struct Resumed {
  /// Per fetch, where it lies in packs of this session; bases by the names of the source.
  std::vector<std::optional<Copy>> copies;
  uint64_t bytes = 0;  ///< stored, of those
};

/// Takes over the packs that are left of `origin`, as far as their copies are wanted and whole:
/// each is read and checked, as when it arrives. `journal`: of this session, which is told first.
/// What cannot be taken over is fetched again: errors are those of this session's own files, and
/// kCancelled.
Result<Resumed> resume_arrivals(const Store& to, const Origin& origin,
                                const std::vector<Fetch>& fetches, PackWriter& packs,
                                ArrivalJournal& journal, const std::atomic<bool>* stop);

}  // namespace cairn
