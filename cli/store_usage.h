// The counts of `stats` and `report`.
#pragma once

#include "store/usage.h"

namespace cairn {

/// measure_usage() with the classes of tensors, and an index that lies elsewhere counted in
/// disk_bytes. Errors: kCorrupt, kCancelled.
Result<StoreUsage> store_usage(const Store& store, const TagList& tags,
                               const std::atomic<bool>* stop);

}  // namespace cairn
