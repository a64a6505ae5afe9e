// Explores the protocol of docs/PROTOCOL.md exhaustively, in small scenarios.
//   protocol_model            all guards on; says "holds in N states" for each scenario; exit 0
//   protocol_model GUARD...   these guards off, only the scenarios that name them; prints how a
//                             promise breaks and exits 1; exit 0 if every promise still holds
//   protocol_model --each [GUARD...]   every guard (or these), each alone off, in every scenario
//                             that names it; exit 0 if each of them breaks there
#include <cstdio>

#include <algorithm>
#include <optional>
#include <string_view>

#include "tests/model/model_explore.h"

namespace cairn::model {
namespace {

std::optional<Guard> find_guard(std::string_view name) {
  const auto found = std::find(kGuardNames.begin(), kGuardNames.end(), name);
  if (found == kGuardNames.end()) return std::nullopt;
  return static_cast<Guard>(found - kGuardNames.begin());
}

bool concerns(const Scenario& scenario, Guards off) {
  return off.none() || std::any_of(scenario.guards.begin(), scenario.guards.end(),
                                   [&](Guard guard) { return off[static_cast<size_t>(guard)]; });
}

bool holds(const Scenario& scenario, Guards off) {
  const Exploration result = explore(scenario, ~off);
  const auto name = static_cast<int>(scenario.name.size());
  if (result.broken.empty()) {
    std::printf("%.*s: holds in %zu states\n", name, scenario.name.data(), result.states);
    return true;
  }
  std::printf("%.*s: broken after %zu states: %s\n%s", name, scenario.name.data(), result.states,
              result.broken.c_str(), result.trace.c_str());
  return false;
}

/// Whether each of these guards is needed wherever a scenario says so, and somewhere at all.
bool check_each(Guards chosen) {
  bool as_named = true;
  Guards named;
  for (const Scenario& scenario : all_scenarios()) {
    for (const Guard guard : scenario.guards) {
      const auto number = static_cast<size_t>(guard);
      if (!chosen[number]) continue;
      named.set(number);
      std::printf("without %s, ", kGuardNames[number].data());
      if (holds(scenario, Guards().set(number))) as_named = false;
    }
  }
  if (named != chosen) std::printf("a guard is named by no scenario\n");
  return as_named && named == chosen;
}

int run(std::vector<std::string_view> words) {
  const bool each = !words.empty() && words.front() == "--each";
  if (each) words.erase(words.begin());
  Guards off;
  for (const std::string_view word : words) {
    const auto guard = find_guard(word);
    if (!guard) {
      std::fprintf(stderr, "no guard '%.*s'\n", static_cast<int>(word.size()), word.data());
      return 2;
    }
    off.set(static_cast<size_t>(*guard));
  }
  if (each) return check_each(off.none() ? ~off : off) ? 0 : 1;
  for (const Scenario& scenario : all_scenarios()) {
    if (concerns(scenario, off) && !holds(scenario, off)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace cairn::model

int main(int argc, char** argv) { return cairn::model::run({argv + 1, argv + argc}); }
