// What several parts of a save have of the same boxes and attachments: the first part's count, and
// the others should be equal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/part_view.h"
#include "lib/saved_pages.h"

namespace cairn {

/// Whose replica of the item counts: "rank 3", "part 3" of an attachment. REQUIRES: it is not here.
std::string holder_of(const SavePlan& plan, size_t item);

/// A line for each item that a part has otherwise than it was saved. What was cut in another way is
/// not compared. REQUIRES: views that were checked; the pages are filled.
std::vector<std::string> find_differences(std::span<const PartView> views, const SavePlan& plan,
                                          const SavedPages& pages);

}  // namespace cairn
