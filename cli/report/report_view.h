// What the drawing functions of a report get: the facts, and what surrounds them. The columns of
// all plots are the same, so that they stand below each other.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "lib/report_facts.h"

namespace cairn {

/// Rows of the table of tags.
inline constexpr size_t kTagRowsMax = 1000;

struct ReportView {
  ReportFacts facts;
  std::string store;    ///< as the user named it
  std::string pattern;  ///< of the tags; "": all
  int64_t now_ns = 0;
  /// `loss=0.1 format=pt` of the newest kTagRowsMax tags, by their place in facts.tags.tags.
  std::vector<std::string> metadata;

  /// Columns that a plot has room for; few tags do not get bars as wide as the page.
  size_t slots() const { return std::max<size_t>(facts.tags.columns.size(), 8); }
};

}  // namespace cairn
