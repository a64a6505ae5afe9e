// When the tags were made: for each prefix a strip of time. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/report/report_view.h"

namespace cairn {

/// How many tags fall into each of `bins` equal parts of [oldest, newest].
std::vector<size_t> time_bins(const std::vector<int64_t>& times, int64_t oldest, int64_t newest,
                              size_t bins);

std::string age_plot(const ReportView& view);

}  // namespace cairn
