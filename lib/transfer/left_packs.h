// Packs that transfers have left which were killed or gave up, and what of them another transfer
// wants: by what copies are, wherever they came from and of whatever tag.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/transfer/transfer_plan.h"
#include "store/arrivals.h"

namespace cairn {

inline CopyKey key_of(const Fetch& fetch) { return key_of(fetch.digest, fetch.copy, fetch.bases); }

struct LeftPack {
  FileId pack;
  std::vector<Arrival> arrivals;  ///< in the order in which they lie
};

/// Those that are there: by what the journal says, as far as they were written; in an object store,
/// of those that are whole, by their tables, which are read beside each other. Errors: those of
/// listing; kUnreachable; kCancelled.
Result<std::vector<LeftPack>> packs_of(const Store& store, const LeftArrivals& left);

/// An arrival that is as good as a fetch.
struct Match {
  uint32_t fetch = 0;
  Arrival arrival;
};

/// What is still to be fetched. Threads: one at a time.
class WantedCopies {
 public:
  /// `fetches` must stay. What comes by itself is not wanted.
  explicit WantedCopies(const std::vector<Fetch>& fetches);

  /// In the order in which they lie; they are not wanted from then on. None where most of the pack
  /// would lie there for nothing, being of another tag.
  std::vector<Match> take(const LeftPack& pack);
  void put_back(uint32_t fetch) { wanted_.emplace(key_of(fetches_[fetch]), fetch); }

 private:
  const std::vector<Fetch>& fetches_;
  std::multimap<CopyKey, uint32_t> wanted_;  // numbers of fetches
};

/// What a transfer goes on from.
struct Resumed {
  /// Per fetch, where it lies; bases as in Fetched. Empty: nothing was left.
  std::vector<std::optional<Copy>> copies;
  uint64_t bytes = 0;  ///< stored, of those
  /// In an object store, of those: no lease protects them, so the commit looks at them.
  std::set<FileId> packs;
  /// To be removed once the tag is there: of the same tag, whatever became of their packs, and of
  /// sessions none of whose packs is left to go on from.
  std::vector<std::string> journals;
  std::vector<std::string> notes;  ///< what could not be used, and why

  /// It lies there, as the fetch has it.
  void put(const Match& match, const Fetch& fetch, const FileId& pack);
};

/// Stored bytes that a transfer would go on from, if all that was left is whole. Changes nothing.
uint64_t left_bytes(const Store& store, const Origin& own, const std::vector<Fetch>& fetches);

}  // namespace cairn
