// Garbage collection of a store: deletes what nobody needs, and writes half-dead and very small
// packs anew (docs/PROTOCOL.md, sections 5 and 6). Runs beside savers, readers and forget.
#pragma once

#include <optional>

#include "store/gc/move.h"
#include "store/gc/reclaim.h"

namespace cairn {

struct GcRequest {
  std::set<std::string> without;  ///< for plan_collection: tags that are to be forgotten first
  MoveLimits move;
  bool rebase = false;     ///< store copies by themselves where only they keep old tags' alive
  ReclaimRequest reclaim;  ///< `wait` also for another collection to end
  unsigned threads = 0;
  ProgressCounters* progress = nullptr;
};

struct RebaseEstimate {
  uint64_t frees_bytes = 0;
  uint64_t writes_bytes = 0;
};

struct GcReport {
  int64_t freed_bytes = 0;       ///< of packs and metadata packs: deleted less written
  uint64_t packs_deleted = 0;    ///< data packs of which nothing was needed
  uint64_t packs_rewritten = 0;  ///< data packs whose needed copies were moved
  uint64_t metas_deleted = 0;    ///< the same of metadata packs
  uint64_t metas_rewritten = 0;
  int64_t chunks_removed = 0;   ///< stored copies that are no more
  uint64_t moved_bytes = 0;     ///< written anew
  uint64_t copies_rebased = 0;  ///< stored by themselves
  /// What a rebase would do; about, not part of freed_bytes. None where damage keeps it unknown.
  std::optional<RebaseEstimate> rebase = RebaseEstimate();
  bool is_cut = false;  ///< another run finds more to move
  /// Set when nothing of what is left fits into the limit on what is moved: it would have to be as
  /// large as this at least.
  std::optional<uint64_t> needed_limit;
  std::vector<std::string> failures;     ///< files that could not be removed, and why
  std::vector<std::string> unmovable;    ///< damaged packs that were left as they are, and why
  std::vector<std::string> not_rebased;  ///< damaged chains that were left as they are, and why
};

/// Errors: what keeps this version from collecting in the store at all: kNewerFormat; kProtected
/// when its packs lie behind a link.
Status check_may_collect_in(const Store& store);

/// What collect() would do if nothing else changed the store in between; changes nothing. What a
/// rebase would do is an estimate, and what the rest would do is told as if there were none.
Result<GcReport> plan_collection(const Store& store, const GcRequest& request);

/// Errors: kBusy (another collection), kCorrupt and kNewerFormat (nothing was deleted: something
/// that a tag or a live session needs cannot be known), kNoSpace, kCancelled. Each part that was
/// done stays done.
Result<GcReport> collect(const Store& store, const GcRequest& request);

}  // namespace cairn
