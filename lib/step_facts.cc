#include "lib/step_facts.h"

#include <array>
#include <bit>
#include <map>

#include "lib/convert.h"

namespace cairn {

/// The number that a tensor of one element holds whole in memory.
static std::optional<double> scalar_of(const TensorSource& source) {
  if (source.data == nullptr || whole_box(source.shape) != source.box ||
      source.box.elements() != 1) {
    return std::nullopt;
  }
  const auto* bytes = static_cast<const uint8_t*>(source.data);
  if (!check_convertible(source.dtype, Dtype::kF64)) return std::nullopt;
  std::array<uint8_t, sizeof(double)> number{};
  convert(source.dtype, bytes, Dtype::kF64, number.data(), 1);
  return std::bit_cast<double>(number);
}

std::vector<StepFacts> step_facts_of(const SaveRequest& request, const SavePlan& plan) {
  std::map<std::string_view, double> steps;
  for (const PlannedTensor& tensor : plan.tensors) {
    const auto step = scalar_of(*tensor.first);
    if (tensor.first->role == Role::kStep && step) steps[tensor.first->parameter] = *step;
  }
  const ParameterFacts parameters(request.optimizer);
  std::vector<StepFacts> facts;
  for (const PlannedTensor& tensor : plan.tensors) {
    StepFacts& of_tensor = facts.emplace_back(parameters.of(tensor.first->parameter));
    // A step of no parameter is that of all.
    for (const std::string_view whose :
         {std::string_view(), std::string_view(tensor.first->parameter)}) {
      const auto step = steps.find(whose);
      if (step != steps.end()) of_tensor.step = step->second;
    }
  }
  return facts;
}

}  // namespace cairn
