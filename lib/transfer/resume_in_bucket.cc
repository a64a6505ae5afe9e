#include "lib/transfer/resume_in_bucket.h"

#include "lib/transfer/left_packs.h"

namespace cairn {

/// Whether the pack is used.
static bool refer_to(const LeftPack& pack, const std::vector<Fetch>& fetches, WantedCopies& wanted,
                     LeftInBucket& left) {
  const std::vector<Match> matches = wanted.take(pack);
  for (const auto& [number, arrival] : matches) {
    Copy& copy = left.copies[number].emplace(fetches[number].copy);
    copy.pack = pack.pack;
    copy.offset = arrival.offset;
    left.bytes += copy.stored_bytes;
    left.packs.insert(pack.pack);
  }
  return !matches.empty();
}

LeftInBucket find_left_in_bucket(const Store& to, const Origin& origin,
                                 const std::vector<Fetch>& fetches) {
  const FoundArrivals found = take_left_arrivals(to, origin);
  LeftInBucket left;
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
