// Size and new bytes of each tag, as bars over the columns. Pure.
#pragma once

#include <string>

#include "cli/report/report_view.h"

namespace cairn {

/// Sums of a column's tags, as means where a column has several.
struct ColumnSizes {
  uint64_t logical_bytes = 0;
  uint64_t new_bytes = 0;
  uint64_t stored_bytes = 0;
};
ColumnSizes mean_sizes(const TagColumns& tags, const TagColumn& column);

std::string size_plots(const ReportView& view);

}  // namespace cairn
