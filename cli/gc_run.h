// Running a collection from the command line: `cairn gc` and `cairn forget --gc`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/commands.h"
#include "store/gc/collect.h"

namespace cairn {

/// Collects, with progress, and keeps the index in step.
Result<GcReport> run_gc(const Context& context, const Store& store, const GcOptions& options);

/// The request that the options stand for, without a stop or progress.
GcRequest gc_request(const GcOptions& options);

nlohmann::ordered_json gc_json(const GcReport& report, bool dry_run);
/// What was freed or would be, in a line or two.
std::string gc_text(const GcReport& report, bool dry_run, bool rebases = false);
/// Warns of what was left undone and returns the exit status.
int gc_status(Output& output, const GcReport& report);

}  // namespace cairn
