// What each tag added to the store, by encoding, and how long it takes to load. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/report/report_view.h"

namespace cairn {

/// Of a column's tags; means where it has several.
struct ColumnEncodings {
  std::map<HeldAs, uint64_t> stored_bytes;  ///< that no tag before had
  double restore_cost = 1;
};
ColumnEncodings mean_encodings(const ReportFacts& facts, const TagColumn& column);

/// The same in words, for a tip.
std::string encodings_text(const TagColumn& column, const ColumnEncodings& encodings);

/// `e-replay`: the class in page.css that gives an encoding its colour.
std::string encoding_css(HeldAs held);

std::string encoding_plots(const ReportView& view);

}  // namespace cairn
