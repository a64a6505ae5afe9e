// What a move changes of the tags of a store, some tags at a time, so that a saver never waits long
// for the lock and no change writes many tag tables.
#pragma once

#include <atomic>
#include <utility>
#include <vector>

#include "store/gc/tag_mover.h"
#include "store/tag_book.h"
#include "store/tag_change.h"

namespace cairn {

struct TagSwaps {
  struct Entry {
    TagEntry before, after;
  };
  std::vector<Entry> entries;                           // in name order
  std::vector<std::pair<Reference, Reference>> tables;  // from, to

  bool empty() const { return entries.empty() && tables.empty(); }
  /// Into how many changes of the root they are parted.
  size_t batch_count() const;
  /// Changes the book: entries that are still what they were take their new form. Returns how many
  /// entries and tables changed. Batches are applied in order.
  Result<size_t> apply(size_t batch, TagBook& book) const;
};

/// The swaps for all that must move, and what the tag tables that they make will take.
struct PlannedSwaps {
  TagSwaps swaps;
  uint64_t table_bytes = 0;
};
/// Moves the metadata of all tags and tables of `book` that need it. `book` becomes what it will
/// be after the swaps. Errors: those of the mover.
Result<PlannedSwaps> plan_swaps(const Store& store, const TagList& tags, TagBook& book,
                                TagMover& mover);

struct SwapOutcome {
  uint64_t changes = 0;      ///< of tags and tag tables; 0: all of them changed meanwhile
  uint64_t table_bytes = 0;  ///< of tag tables written for it
  bool may_be_visible = false;
};
/// Step C4: exchanges the entries by changes of the root, some in each, as long as the session may
/// commit. What was exchanged before an error stays so. Errors: kBusy, kNoSpace, kCancelled.
Status swap_tags(const Store& store, const SessionId& session, const TagSwaps& swaps,
                 const Wait& wait, const std::atomic<bool>* stop, SwapOutcome& outcome);

}  // namespace cairn
