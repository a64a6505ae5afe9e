// A data pack that its writer left unfinished becomes one of another session: what of it is whole
// need not be brought again.
#pragma once

#include <deque>

#include "store/pack_format.h"
#include "store/store.h"

namespace cairn {

/// Gives the pack `left` the name `file`, then its header and a table of `copies`, which lie in it
/// in this order and were found whole; what comes behind them is cut off. Durable with success.
/// REQUIRES: nobody writes to it any more; `copies` is not empty. Returns the file's size. Errors:
/// kNotFound: it is gone, to a collector or to another who adopts.
Result<uint64_t> adopt_pack(const Store& store, const FileId& left, const FileId& file,
                            const std::deque<PackedCopy>& copies);

}  // namespace cairn
