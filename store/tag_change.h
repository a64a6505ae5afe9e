// The one way to change the tags of a store: under the lock, all of a change or nothing
// (docs/PROTOCOL.md).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "store/root.h"
#include "store/store.h"

namespace cairn {

/// Puts the entry in place of any other of its name.
void put_tag(Root& root, const TagEntry& entry);
/// Takes the tag out. A tag table may still name it: a tombstone hides it there.
void remove_tag(Root& root, const std::string& name);

/// kBusy for a session that a collector took for dead: its files may be gone.
Status check_not_revoked(const Root& root, const SessionId& session);

/// `edit` sees the root and its tags as they are under the lock, and edits the root or refuses.
/// Entries that have become too many for the root are moved into a tag table, which is durable
/// before the root names it. `writer`, `wait`, `may_be_visible` and errors as in change_root.
Status change_tags(const Store& store, const SessionId& writer, std::chrono::milliseconds wait,
                   const std::function<Result<RootChange>(Root&, const TagList&)>& edit,
                   bool& may_be_visible);

}  // namespace cairn
