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

/// Reads the parts that the request names. Errors: kNotFound for one that is gone, kUsage for one
/// of another tag or step, kCorrupt.
Result<std::vector<Part>> read_parts(const Store& store, const SaveRequest& request);

/// Errors: kBusy when a part was compared with another tag than this save: what its copies are made
/// from could not be found.
Status check_parts_base(std::span<const Part> parts, const BaseTag* base);

/// Fills in the entries of all chunks that the parts have, and where their copies lie. Replicas
/// that differ between parts are told in `warnings`; the first part's counts. Errors: kCorrupt when
/// a part lacks what it says it has. REQUIRES: the plan is of these parts.
Status merge_parts(std::span<const Part> parts, const SavePlan& plan, SavedPages& pages,
                   std::vector<std::string>& warnings);

/// Adds to `reused`, which stays in order, those of the packs that the parts have written.
void add_packs_of(std::span<const Part> parts, std::span<const FileId> packs,
                  std::vector<FileId>& reused);

}  // namespace cairn
