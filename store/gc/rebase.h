// Rebase: copies that are made from what no tag holds any more, only kept for their sake, are
// stored by themselves where that frees more than it takes.
#pragma once

#include <string>
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
  std::vector<std::string> damage;  ///< tags whose chains cannot be told, and why
  uint64_t copies = 0;
  uint64_t frees_bytes = 0;   ///< about: stored copies that nobody needs afterwards
  uint64_t writes_bytes = 0;  ///< about

  bool is_empty() const { return chains.empty(); }
};

/// What is worth it. Reads metadata only, and keeps that of one tag at a time. Errors: kCorrupt,
/// kNewerFormat.
Result<RebasePlan> plan_rebase(const Store& store, const Survey& survey);

struct Rebased {
  Moved moved;
  uint64_t copies = 0;              ///< that stand by themselves now
  uint64_t written_copies = 0;      ///< also of chains that were left as they are
  std::vector<std::string> damage;  ///< chains that were left as they are, and why
};

/// Decodes the chains, stores their copies by themselves (as planes, or raw), each proven by its
/// digest, and exchanges the entries of all tags that have them, by the steps C1 to C5 of
/// docs/PROTOCOL.md, section 6. What they were made from is garbage afterwards, for reclaim(). A
/// chain that cannot be decoded is left as it is. Errors: kCorrupt, kNoSpace, kCancelled.
Status rebase(const Store& store, const Survey& survey, const RebasePlan& plan,
              const MoveRequest& request, Rebased& rebased);

}  // namespace cairn
