// Axes: where the ticks of an amount of bytes stand, and the names below the columns. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/report/report_view.h"

namespace cairn {

struct ByteAxis {
  uint64_t top = 1;             ///< at the upper edge
  std::vector<uint64_t> ticks;  ///< from 0 to top
};

/// From 0 to `largest` in at most four steps of 1, 2, 5, 10, 20, 50, ... units of 1024^n bytes.
ByteAxis byte_axis(uint64_t largest);

/// Bytes at a tick, in whole units: `200 MiB`.
std::string tick_label(uint64_t bytes);

/// A tag below its column: its step, else the last segment of its name.
std::string column_label(const TagEntry& tag);

/// `run7/1 to run7/9 (9 tags)`, or the one tag's name.
std::string column_title(const ReportView& view, const TagColumn& column);

/// The row of labels below plots, and the names of the groups below that.
std::string column_axis(const ReportView& view);

}  // namespace cairn
