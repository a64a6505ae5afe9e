// The metadata of a tag in the store that it comes to. Manifest, schema, layout and pages are those
// of the cargo, byte by byte; locators and the table say where the copies lie here.
#pragma once

#include <vector>

#include "lib/transfer/transfer_plan.h"
#include "store/meta_pack.h"

namespace cairn {

/// `copies`: per fetch of the plan, where it lies. `base`: of the destination; may be null. Adds to
/// `metas` what the destination lacks. Returns the entry, without facts of this store, time and
/// name being those of the source. `threads`: encode pages beside each other. Errors: those of
/// reading the source; kCorrupt.
Result<TagEntry> write_moved_tag(Checkpoint& from, const Cargo& cargo, const TransferPlan& plan,
                                 const std::vector<Copy>& copies, BaseTag* base, MetaWriter& metas,
                                 unsigned threads);

}  // namespace cairn
