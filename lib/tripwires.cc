#include "lib/tripwires.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cairn {

std::vector<std::string> tripwires(const StateChanges& changes, const TakenSteps& steps) {
  const bool advanced = steps.before && steps.now && *steps.now > *steps.before;
  const bool has_state =
      std::max({changes.weights, changes.masters, changes.moments}) != Change::kNone;
  const Change state =
      has_state ? std::max({changes.weights, changes.masters, changes.moments}) : changes.others;
  if (advanced && state == Change::kNothing) {
    return {fmt::format(
        "the step went from {} to {}, but {} differs from '{}': what was saved may be an old copy",
        *steps.before, *steps.now, has_state ? "no weight and no moment" : "no tensor",
        steps.base)};
  }
  if (changes.stepped == Change::kNothing && changes.moments == Change::kSome &&
      changes.masters <= Change::kNothing) {
    return {
        fmt::format("the optimizer's state differs from that of '{}', but no weight that it "
                    "steps does: the weights may be an old copy",
                    steps.base)};
  }
  if (advanced && changes.stepped == Change::kSome && changes.moments == Change::kNothing) {
    return {
        fmt::format("the step went from {} to {} and weights differ from those of '{}', but no "
                    "moment does: the optimizer's state may be an old copy",
                    *steps.before, *steps.now, steps.base)};
  }
  return {};
}

void record_warnings(const std::vector<std::string>& warnings, Metadata& metadata) {
  if (warnings.empty()) return;
  nlohmann::json all = nlohmann::json::array();
  const auto standing = metadata.find(kWarningsKey);
  if (standing != metadata.end()) {
    const auto told = nlohmann::json::parse(standing->second, nullptr, false);
    if (told.is_array()) all = told;
  }
  for (const std::string& warning : warnings) all.push_back(warning);
  metadata[kWarningsKey] = all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> recorded_warnings(const Metadata& metadata) {
  const auto standing = metadata.find(kWarningsKey);
  if (standing == metadata.end()) return {};
  const auto told = nlohmann::json::parse(standing->second, nullptr, false);
  std::vector<std::string> warnings;
  if (!told.is_array()) return warnings;
  for (const auto& warning : told)
    if (warning.is_string()) warnings.push_back(warning.get<std::string>());
  return warnings;
}

}  // namespace cairn
