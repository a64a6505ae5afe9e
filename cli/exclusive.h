// How many stored bytes each tag needs that no other tag does: what forgetting it alone would free.
#pragma once

#include <map>
#include <string>

#include "store/store.h"

namespace cairn {

/// By tag name, for all tags of the list. Metadata is not counted.
Result<std::map<std::string, uint64_t>> exclusive_bytes(const Store& store, const TagList& tags);

}  // namespace cairn
