// Which tensors changed in which tags, as a map of cells. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "cli/report/report_view.h"

namespace cairn {

/// How a cell is shown: 0 unchanged, 1 to 8 by eighths of its chunks that are new.
inline constexpr int kHeatLevels = 8;
inline constexpr int kHeatFirst = 9;    ///< nothing to compare with
inline constexpr int kHeatAbsent = -1;  ///< no such tensor, or one without bytes
int heat_level(const ChangeCell& cell);

std::string heat_map(const ReportView& view);

}  // namespace cairn
