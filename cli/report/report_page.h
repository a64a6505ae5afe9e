// The page of a report: one HTML document that needs nothing from elsewhere. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/report/report_view.h"

namespace cairn {

std::string report_page(const ReportView& view);

/// The numbers behind the plots, as the page carries them for its tooltips.
nlohmann::ordered_json report_data(const ReportView& view);

}  // namespace cairn
