// Signs that what was saved is not what was trained: an old copy of a state is a whole and readable
// checkpoint, and shows only beside the one before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/state_changes.h"
#include "store/manifest.h"

namespace cairn {

/// The tag that a save was compared with, and the steps of both.
struct TakenSteps {
  std::string base;
  std::optional<int64_t> before, now;
};

/// A line for each sign.
std::vector<std::string> tripwires(const StateChanges& changes, const TakenSteps& steps);

/// The key of a tag's metadata under which its warnings are: a JSON list of texts.
inline constexpr const char* kWarningsKey = "cairn.warnings";

/// Keeps the warnings in a tag's metadata, behind those that are there.
void record_warnings(const std::vector<std::string>& warnings, Metadata& metadata);
/// Those that were kept; none where that is no list of texts.
std::vector<std::string> recorded_warnings(const Metadata& metadata);

}  // namespace cairn
