// The one way to change the tags of a store: under the lock, all of a change or nothing
// (docs/PROTOCOL.md).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "store/root.h"
#include "store/store.h"

namespace cairn {

/// Under the lock: kBusy for a session that a collector took for dead, whether the root says so or
/// its lease is gone or another file has its name: its files may be gone, too.
Status check_may_commit(const Store& store, const Root& root, const SessionId& session);

struct ChangeOutcome {
  bool may_be_visible = false;  ///< as change_root says, with an error too
  uint64_t table_bytes = 0;     ///< of the tag tables that the change wrote
};

/// `edit` sees the root and its tags as they are under the lock, and edits both or refuses; the
/// root's own lists of entries and tables are in the book meanwhile.
/// Entries that have become too many for the root are moved into tag tables, which are durable
/// before the root names them. `writer`, `wait` and errors as in change_root; kNewerFormat when the
/// store asks writers for something that this version does not know.
Status change_tags(const Store& store, const SessionId& writer, const Wait& wait,
                   const std::function<Result<RootChange>(Root&, TagBook&)>& edit,
                   ChangeOutcome& outcome);

}  // namespace cairn
