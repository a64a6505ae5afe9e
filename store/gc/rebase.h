// Rebase: copies that are made from what no tag holds any more, only kept for their sake, are
// stored by themselves where that frees more than it takes.
#pragma once

#include <map>
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
  /// Stored copies that nobody needs afterwards, table rows included.
  std::map<FileId, uint64_t> freed_packs;
  uint64_t frees_bytes = 0;   ///< about
  uint64_t writes_bytes = 0;  ///< about, metadata included

  bool is_empty() const { return chains.empty(); }
};

/// What is worth it: where packs are written anew that have more dead bytes, more files go than are
/// written. Reads metadata only, and keeps that of one tag at a time. Errors: kCorrupt,
/// kNewerFormat.
Result<RebasePlan> plan_rebase(const Store& store, const Survey& survey,
                               double min_dead_percent = MoveLimits().min_dead_percent);

struct Rebased {
  Moved moved;
  uint64_t copies = 0;              ///< that stand by themselves now
  std::vector<std::string> damage;  ///< chains that were left as they are, and why
};

/// Decodes the chains, stores their copies by themselves (as planes, or raw), each proven by its
/// digest, and exchanges the entries of all tags that have them, by the steps C1 to C5 of
/// docs/PROTOCOL.md, section 6. What they were made from is garbage afterwards, for reclaim(). A
/// chain that cannot be decoded is left as it is; and so are all if more would be written than the
/// plan says to be freed. Errors: kCorrupt, kNoSpace, kCancelled.
Status rebase(const Store& store, const Survey& survey, const RebasePlan& plan,
              const MoveRequest& request, Rebased& rebased);

}  // namespace cairn
