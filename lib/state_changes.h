// What became of the tensors of a state since the tag that it is compared with, by what they are to
// their optimizer. Looks until it is known: mostly at a few chunks, and at whole pages by digest.
#pragma once

#include <cstdint>
#include <span>

#include "lib/base_tag.h"
#include "lib/optimizer_facts.h"
#include "lib/save_plan.h"
#include "lib/saved_pages.h"

namespace cairn {

/// Of all tensors of a kind that both tags have.
enum class Change : uint8_t {
  kNone,     ///< there are none of that kind
  kNothing,  ///< every byte is the same
  kUnknown,  ///< something of the base cannot be read, and no change was seen
  kSome,
};

struct StateChanges {
  Change weights = Change::kNone;
  Change masters = Change::kNone;
  Change moments = Change::kNone;
  Change others = Change::kNone;  ///< counters, buffers of integers, tensors without a role
  /// Weights of parameters that have moments, and of which the rate is not known to be 0.
  Change stepped = Change::kNone;
};

/// `pages`: the digests of the save's. REQUIRES: the pages are filled, and the base is matched.
StateChanges changes_since(BaseTag& base, const SavePlan& plan, const SavedPages& saved,
                           std::span<const Digest> pages, const OptimizerFacts& optimizer);

}  // namespace cairn
