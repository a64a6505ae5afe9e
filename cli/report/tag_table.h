// The tags as a table, newest first. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/report/report_view.h"

namespace cairn {

/// Places in `tags` of the newest kTagRowsMax, newest first.
std::vector<size_t> newest_tags(const std::vector<TagEntry>& tags);

std::string tag_table(const ReportView& view);

}  // namespace cairn
