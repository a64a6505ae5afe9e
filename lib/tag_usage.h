// What a tag reads, and what one tag needs that another does not have: by class and encoding.
#pragma once

#include <functional>

#include "store/checkpoint.h"
#include "store/encoding_usage.h"

namespace cairn {

/// Whether an item of the checkpoint (a tensor, an attachment) is looked at.
using WantsItem = std::function<bool(size_t item)>;

/// What a load of the items reads: their chunks, each as often as it stands in the tag; as history
/// the copies that these are made from, once each. Errors: those of reading metadata.
Result<UsageByClass> tag_usage(Checkpoint& checkpoint, const WantsItem& wants);

/// What items of `b` need that `a` does not: chunks that `a` does not have, and copies that it
/// neither holds nor is made from, each once. What the store would hold less without them. What
/// both have at the same place is passed over, so that it costs what differs: if `b` stores such a
/// chunk a second time elsewhere, it counts.
Result<UsageByClass> usage_beside(Checkpoint& a, Checkpoint& b, const WantsItem& wants);

}  // namespace cairn
