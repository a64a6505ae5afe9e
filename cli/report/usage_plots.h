// What the store holds: by class and by encoding, and what gc would free. Pure.
#pragma once

#include <string>

#include "cli/report/report_view.h"

namespace cairn {

std::string class_plot(const StoreUsage& usage);
std::string encoding_plot(const StoreUsage& usage);
/// The store's files: needed, reclaimable, the rest.
std::string disk_plot(const ReportFacts& facts);

}  // namespace cairn
