// Puts together what several processes have stored of one tag.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/base_tag.h"
#include "lib/part.h"
#include "lib/save_plan.h"
#include "lib/saved_pages.h"

namespace cairn {

/// What there is to tell of parts that were put together.
struct MergedParts {
  uint64_t new_bytes = 0, new_chunks = 0;  ///< as in TagFacts
  std::vector<std::string> warnings;       ///< of replicas that differ: the first part's count
};

/// Fills in the entries of all chunks that the parts have, and where their copies lie. `base`: may
/// be null. Errors: kUsage when replicas differ and copies that are needed are made from another
/// one than the first; kCorrupt when a part lacks what it says it has. REQUIRES: the plan is of
/// these parts.
Result<MergedParts> merge_parts(std::span<const Part> parts, const SavePlan& plan, BaseTag* base,
                                SavedPages& pages);

}  // namespace cairn
