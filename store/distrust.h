// Data packs in which bytes were found that are not what their digests say. Tags that need other
// copies of such a pack stand; but no save takes a copy over from it any more. Marks are empty
// files `set-aside/packs/<pack>`: names of packs are never used twice, so a mark is true for ever.
#pragma once

#include <set>

#include "store/file_id.h"
#include "store/store.h"

namespace cairn {

/// Durable when it returns; fine for packs that are distrusted already.
Status distrust_packs(const Store& store, const std::set<FileId>& packs);

Result<std::set<FileId>> distrusted_packs(const Store& store);

/// Removes the marks of packs that are gone.
Status forget_distrust(const Store& store);

}  // namespace cairn
