#include "store/gc/tag_swap.h"

#include <algorithm>
#include <span>

#include "base/stop.h"
#include "store/meta_pack.h"

namespace cairn {

/// A change of this many writes at most as many tag tables, some tenths of a second at worst.
static constexpr size_t kSwappedAtOnce = 1024;

size_t TagSwaps::batch_count() const {
  return empty() ? 0 : std::max<size_t>((entries.size() + kSwappedAtOnce - 1) / kSwappedAtOnce, 1);
}

Result<size_t> TagSwaps::apply(size_t batch, TagBook& book) const {
  size_t changed = 0;
  const size_t begin = batch * kSwappedAtOnce;
  const size_t end = std::min(begin + kSwappedAtOnce, entries.size());
  for (size_t i = begin; i < end; ++i) {
    const Entry& swap = entries[i];
    CAIRN_TRY(const TagEntry* standing, book.find(swap.before.name));
    // Forgotten, replaced or thinned meanwhile: what it is now stays.
    if (standing == nullptr || standing->commit != swap.before.commit) continue;
    // By a change whose answer was lost.
    const bool is_done = standing->table == swap.after.table;
    if (!is_done && standing->table != swap.before.table) continue;
    TagEntry after = swap.after;
    after.pinned = standing->pinned;
    book.put(std::move(after));
    ++changed;
  }
  if (batch != 0) return changed;
  for (const auto& [from, to] : tables) changed += book.move_table(from, to) ? 1 : 0;
  return changed;
}

/// Applies the entries to the book, with the folds that change_tags() will make.
static Result<uint64_t> measure_folds(const Store& store, const TagSwaps& swaps, TagBook& book) {
  uint64_t bytes = 0;
  for (size_t batch = 0; batch < swaps.batch_count(); ++batch) {
    CAIRN_CHECK(swaps.apply(batch, book));
    if (!book.wants_fold()) continue;
    CAIRN_TRY(const SessionId nobody, SessionId::fresh());
    MetaWriter writer(store.fs(), store.path(), nobody, MetaWriter::Mode::kMeasure);
    CAIRN_CHECK(book.fold(writer));
    CAIRN_CHECK(writer.finish());
    bytes += writer.stored_bytes();
  }
  return bytes;
}

Result<PlannedSwaps> plan_swaps(const Store& store, const TagList& tags, TagBook& book,
                                TagMover& mover) {
  PlannedSwaps planned;
  for (const TagEntry& tag : tags.tags) {
    CAIRN_TRY(auto moved, mover.move(tag));
    if (moved) planned.swaps.entries.push_back({tag, *std::move(moved)});
  }
  CAIRN_TRY(planned.table_bytes, measure_folds(store, planned.swaps, book));
  // Only tables that the folds leave alone: the others are written anew anyway.
  const std::vector<TagTableRef> tables = book.tables();
  for (const TagTableRef& table : tables) {
    CAIRN_TRY(const auto moved, mover.move_tag_table(book, table));
    if (!moved) continue;
    planned.swaps.tables.emplace_back(table.table, *moved);
    book.move_table(table.table, *moved);
  }
  return planned;
}

static Status swap_batch(const Store& store, const SessionId& session, const TagSwaps& swaps,
                         size_t batch, const Wait& wait, SwapOutcome& outcome) {
  size_t changed = 0;
  bool was_tried = false;
  const auto edit = [&](Root& root, TagBook& book) -> Result<RootChange> {
    CAIRN_CHECK(check_may_commit(store, root, session));
    CAIRN_TRY(changed, swaps.apply(batch, book));
    if (changed == 0) return RootChange::kKeep;
    was_tried = true;
    ++root.commit;
    return RootChange::kReplace;
  };
  ChangeOutcome done;
  const Status replaced = change_tags(store, session, wait, edit, done);
  outcome.may_be_visible = outcome.may_be_visible || (done.may_be_visible && was_tried);
  CAIRN_CHECK(replaced);
  outcome.changes += changed;
  outcome.table_bytes += done.table_bytes;
  return {};
}

Status swap_tags(const Store& store, const SessionId& session, const TagSwaps& swaps,
                 const Wait& wait, const std::atomic<bool>* stop, SwapOutcome& outcome) {
  for (size_t batch = 0; batch < swaps.batch_count(); ++batch) {
    if (is_stopped(stop)) {
      return fail(Code::kCancelled,
                  "the move of copies was stopped; tags that were not moved are as they were");
    }
    CAIRN_CHECK(swap_batch(store, session, swaps, batch, wait, outcome));
  }
  return {};
}

}  // namespace cairn
