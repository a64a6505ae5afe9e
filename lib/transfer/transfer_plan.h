// What a tag needs in the store that it comes to: for each of its pages, and each page that these
// are made from, where the copies are to be: there already, or fetched from the store it comes
// from.
#pragma once

#include <map>
#include <vector>

#include "lib/transfer/cargo.h"
#include "lib/transfer/standing_copies.h"

namespace cairn {

/// A copy that is to be moved.
struct Fetch {
  Copy copy;  ///< as the source has it, bases included
  Digest digest;
  std::vector<Digest> bases;  ///< what these decode to
  bool is_of_tensor = false;  ///< and not only of attachments or of bases
  /// Which one it is in the source, if it is to be decoded there and to come by itself: then it has
  /// no bases.
  std::optional<CopyRef> chain = {};
};

/// What stands for a slot of a page in the new tag.
struct ChosenCopy {
  Copy copy;                      ///< where it stands already
  std::optional<uint32_t> fetch;  ///< else the number of what is fetched for it
};

struct ChosenPage {
  std::shared_ptr<const LoadedPage> loaded;
  PagePlace place;           ///< in the destination when it stands there, else in the source
  bool is_standing = false;  ///< the base of the destination has the page
  std::vector<std::optional<ChosenCopy>> slots;  ///< those that the tag needs
};

struct TransferPlan {
  std::map<Digest, ChosenPage> pages;  ///< of the manifest and of bases
  std::vector<Fetch> fetches;
  uint64_t fetch_bytes = 0;   ///< stored; of those that come by themselves: decoded
  uint64_t made_chunks = 0;   ///< of the fetches, those that are made from others
  uint64_t alone_chunks = 0;  ///< those that come by themselves
  uint64_t new_bytes = 0;     ///< decoded, of tensors' chunks that the destination lacks, each once
  uint64_t new_chunks = 0;
};

/// In the plan's sums.
void count_fetch(TransferPlan& plan, const Fetch& fetch);

/// `cargo`: of the tag `from`. Reads its pages that `standing` lacks, several at a time. Errors:
/// those of reading; kCorrupt for a base that does not exist, or a copy that is larger than any
/// chunk; kCancelled.
Result<TransferPlan> plan_transfer(Checkpoint& from, const Cargo& cargo, StandingCopies& standing,
                                   unsigned threads, const std::atomic<bool>* stop);

}  // namespace cairn
