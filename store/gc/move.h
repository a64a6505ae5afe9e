// Copy-forward: the steps C1 to C5 of docs/PROTOCOL.md, section 6.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "base/progress_counters.h"
#include "store/gc/move_plan.h"
#include "store/gc/reclaim.h"

namespace cairn {

struct MoveRequest {
  Wait wait = std::chrono::seconds(60);
  unsigned threads = 0;  ///< 0: one for each CPU
  ProgressCounters* progress = nullptr;
  const std::atomic<bool>* stop = nullptr;
};

struct Moved {
  uint64_t written_bytes = 0;  ///< of new packs and metadata packs
  uint64_t changes = 0;        ///< of tags and tag tables; 0: all of them changed meanwhile
  /// Set with an error: a copy in this pack does not have the digest that its table says.
  std::optional<FileId> damaged_pack;
};

struct MoveMeasure {
  uint64_t written_bytes = 0;  ///< to the byte
  NeededObjects kept;          ///< what tags still need of the metadata packs there are
};
/// What move_copies would do. Errors: kCorrupt.
Result<MoveMeasure> measure_move(const Store& store, const Survey& survey, const MovePlan& plan);

/// Writes the plan's packs, each copy checked against its digest, and the metadata of the tags that
/// need them, then exchanges the entries of these tags, some in each change of the root: those that
/// are still what they were in `survey`. The victims are garbage afterwards, for reclaim().
/// Errors: kCorrupt, kNoSpace, kCancelled. When no tag took its new entry, what was written is
/// removed again.
Status move_copies(const Store& store, const Survey& survey, const MovePlan& plan,
                   const MoveRequest& request, Moved& moved);

}  // namespace cairn
