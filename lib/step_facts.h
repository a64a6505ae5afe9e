// What is known of the optimizer's step for each tensor of a save: what the caller says, and the
// number of the step where a tensor of the checkpoint holds it.
#pragma once

#include <vector>

#include "lib/save_plan.h"

namespace cairn {

/// By tensor of the plan. A tensor with the role of a step counts before what the caller says; one
/// of no parameter is that of all.
std::vector<StepFacts> step_facts_of(const SaveRequest& request, const SavePlan& plan);

}  // namespace cairn
