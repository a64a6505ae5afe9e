#include "lib/transfer/resume_in_bucket.h"

namespace cairn {

/// Whether the pack is used.
static bool refer_to(const LeftPack& pack, const std::vector<Fetch>& fetches, WantedCopies& wanted,
                     Resumed& left) {
  const std::vector<Match> matches = wanted.take(pack);
  for (const Match& match : matches) left.put(match, fetches[match.fetch], pack.pack);
  if (!matches.empty()) left.packs.insert(pack.pack);
  return !matches.empty();
}

Resumed find_left_in_bucket(const Store& to, const Origin& origin,
                            const std::vector<Fetch>& fetches) {
  const FoundArrivals found = take_left_arrivals(to, origin);
  Resumed left;
  left.notes = found.passed_over;
  if (found.left.empty()) return left;
  WantedCopies wanted(fetches);
  left.copies.resize(fetches.size());
  for (const LeftArrivals& session : found.left) {
    const auto packs = packs_of(to, session);
    if (!packs) {
      left.notes.push_back(packs.error().message);
      continue;
    }
    bool are_all_used = true;
    for (const LeftPack& pack : *packs) {
      are_all_used = refer_to(pack, fetches, wanted, left) && are_all_used;
    }
    if (are_all_used || session.origin == origin) left.journals.push_back(session.path);
  }
  return left;
}

}  // namespace cairn
