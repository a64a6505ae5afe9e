// What the optimizer is known to have done in the step that led to a checkpoint, parameter by
// parameter. It helps to predict the state; what is unknown or wrong costs bytes, nothing else.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/replay/replay.h"
#include "store/manifest.h"

namespace cairn {

struct OptimizerFacts {
  bool predict = true;  ///< false: nothing is predicted from the optimizer
  StepFacts common;
  /// Parameters that match the glob differ in what is set here; a later one wins.
  std::vector<std::pair<std::string, StepFacts>> groups;
};

/// Looks parameters up: quickly also where groups name each of many, as optimizers do that were
/// told them one by one.
class ParameterFacts {
 public:
  /// `facts` must outlive this.
  explicit ParameterFacts(const OptimizerFacts& facts);

  StepFacts of(std::string_view parameter) const;

 private:
  const OptimizerFacts& facts_;
  std::vector<size_t> patterns_;  // numbers of groups, ascending
  std::unordered_map<std::string_view, std::vector<size_t>> names_;
};

/// By its name, in letters of either case: adam, adamw, sgd, lion, muon. nullopt for others.
std::optional<OptimizerKind> optimizer_named(std::string_view name);

/// A number of StepFacts, by its name in roles files and metadata.
using StepNumber = std::pair<std::string_view, std::optional<double> StepFacts::*>;
std::span<const StepNumber> step_numbers();

/// Takes lr, beta1, beta2, eps, weight_decay, clip, momentum, dampening and optimizer from metadata
/// of these names; what is no number is passed over.
StepFacts facts_from_metadata(const Metadata& metadata);

/// The keys of such facts whose text is no number.
std::vector<std::string> facts_without_number(const Metadata& metadata);

/// What is set in `more` replaces what is in `facts`.
void merge_facts(const StepFacts& more, StepFacts& facts);

}  // namespace cairn
