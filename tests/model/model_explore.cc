#include "tests/model/model_explore.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace cairn::model {
namespace {

/// Every state seen, in order of discovery, with the one it was reached from; found again by an
/// open-addressing table of numbers. About 250 bytes a state.
class Seen {
 public:
  Seen() : slots_(1U << 16, kFree) {}

  size_t size() const { return states_.size(); }
  const State& operator[](uint32_t number) const { return states_[number]; }
  uint32_t parent(uint32_t number) const { return parents_[number]; }

  void add(const State& state, uint32_t parent) {
    if (states_.size() * 2 >= slots_.size()) grow();
    uint32_t& slot = slots_[place(state)];
    if (slot != kFree) return;
    slot = static_cast<uint32_t>(states_.size());
    states_.push_back(state);
    parents_.push_back(parent);
  }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  size_t place(const State& state) const {
    const std::string_view bytes(reinterpret_cast<const char*>(&state), sizeof state);
    size_t slot = std::hash<std::string_view>()(bytes) & (slots_.size() - 1);
    while (slots_[slot] != kFree &&
           std::memcmp(&states_[slots_[slot]], &state, sizeof state) != 0) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
  }

  void grow() {
    slots_.assign(slots_.size() * 2, kFree);
    for (uint32_t number = 0; number < states_.size(); ++number) {
      slots_[place(states_[number])] = number;
    }
  }

  std::vector<State> states_;
  std::vector<uint32_t> parents_;
  std::vector<uint32_t> slots_;
};

std::string describe(const Label& label) {
  std::string line = std::string("    ") + label.what;
  if (label.number >= 0) line += " #" + std::to_string(label.number);
  if (label.packs != 0) line += " (" + names_of_packs(label.packs) + ")";
  return line + "\n";
}

std::string trace_to(World& world, const Seen& seen, uint32_t number) {
  std::vector<std::string> lines;
  for (; number != 0; number = seen.parent(number)) {
    all_steps(world, seen[seen.parent(number)]);
    const auto taken = std::find_if(world.steps.begin(), world.steps.end(), [&](const Step& step) {
      return std::memcmp(&step.after, &seen[number], sizeof(State)) == 0;
    });
    if (taken != world.steps.end()) lines.push_back(describe(taken->label));
  }
  std::string trace;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) trace += *line;
  return trace;
}

}  // namespace

Exploration explore(const Scenario& scenario, Guards guards) {
  World world{scenario, guards, {}};
  Seen seen;
  seen.add(start_of(scenario), 0);
  for (uint32_t number = 0; number < seen.size(); ++number) {
    const State state = seen[number];
    const std::string broken = fault(world, state);
    if (!broken.empty()) return {seen.size(), broken, trace_to(world, seen, number)};
    all_steps(world, state);
    for (const Step& step : world.steps) seen.add(step.after, number);
  }
  return {seen.size(), "", ""};
}

}  // namespace cairn::model
