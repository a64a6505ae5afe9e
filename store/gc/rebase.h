// Rebase: copies that are made from what no tag holds any more, only kept for their sake, are
// stored by themselves where that frees more than it takes.
#pragma once

#include <vector>

#include "store/decode_plan.h"
#include "store/gc/move.h"

namespace cairn {

/// Copies of one tag that share what they are made from.
struct RebaseChain {
  TagEntry tag;
  std::vector<CopyRef> copies;
};

struct RebasePlan {
  std::vector<RebaseChain> chains;
  uint64_t copies = 0;
  uint64_t frees_bytes = 0;   ///< about: stored copies that nobody needs afterwards
  uint64_t writes_bytes = 0;  ///< about

  bool is_empty() const { return chains.empty(); }
};

/// What is worth it. Reads metadata only, and keeps that of one tag at a time. Errors: kCorrupt,
/// kNewerFormat.
Result<RebasePlan> plan_rebase(const Store& store, const Survey& survey);

/// Decodes the chains, stores their copies by themselves (as planes, or raw), each proven by its
/// digest, and exchanges the entries of all tags that have them, by the steps C1 to C5 of
/// docs/PROTOCOL.md, section 6. What they were made from is garbage afterwards, for reclaim().
/// Errors: kCorrupt (a chain cannot be decoded: nothing is exchanged), kNoSpace, kCancelled.
Status rebase(const Store& store, const Survey& survey, const RebasePlan& plan,
              const MoveRequest& request, Moved& moved);

}  // namespace cairn
