// What a rebase comes to in files. Bytes that nobody needs come back only with a pack that is dead
// enough to be written anew, and the metadata of all tags that have the copies is written again.
#pragma once

#include <set>

#include "store/gc/move_plan.h"
#include "store/gc/rebase.h"

namespace cairn {

/// Threads: one.
class RebaseWorth {
 public:
  RebaseWorth(const Store& store, const Survey& survey, double min_dead_percent)
      : store_(store), survey_(survey), min_dead_percent_(min_dead_percent), needed_(store) {}

  /// Before all else. Errors: as NeededCopies.
  Status note_needs();

  /// Packs of which the plan frees something and that would stay as they are all the same.
  std::set<FileId> stuck_packs(const RebasePlan& plan);

  /// Makes the plan's figures those of files. Errors: kCorrupt.
  Status settle(RebasePlan& plan);

 private:
  uint64_t reclaimed_bytes(const StoredFile& file, uint64_t needed_bytes) const;
  int64_t gain(const StoredFile& file, uint64_t needed_before, uint64_t needed_after) const;

  const Store& store_;
  const Survey& survey_;
  const double min_dead_percent_;
  NeededCopies needed_;
};

}  // namespace cairn
