// Visits every state that can be reached from a scenario's start, breadth first.
#pragma once

#include "tests/model/model_scenario.h"

namespace cairn::model {

struct Exploration {
  size_t states = 0;
  std::string broken;  // the first fault found, empty when all promises hold
  std::string trace;   // the shortest way to it, one step a line
};

Exploration explore(const Scenario& scenario, Guards guards);

}  // namespace cairn::model
