// A plot over the columns of tags: levels at the left, the picture at the right. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/report/axis.h"
#include "cli/report/report_view.h"

namespace cairn {

/// Of a picture, in units of its own; a column is 1 wide.
inline constexpr int kPanelHeight = 1000;

struct Level {
  double share = 0;  ///< of the height
  std::string label;
};

std::vector<Level> byte_levels(const ByteAxis& axis);

struct Panel {
  std::string_view id, title, description;
  std::string_view about = "text";  ///< what a tip says of a column: a key of report_data()
  std::vector<Level> levels;
  std::string drawn;  ///< SVG
};

std::string panel_html(const ReportView& view, const Panel& panel);

/// A bar's part of a path; at least a sliver. REQUIRES: height > 0.
std::string bar_path(size_t column, double bottom, double height);

}  // namespace cairn
