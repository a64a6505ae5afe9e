#include "lib/optimizer_facts.h"

#include <algorithm>
#include <cstdlib>

#include "base/glob.h"

namespace cairn {

std::optional<OptimizerKind> optimizer_named(std::string_view name) {
  static constexpr std::pair<std::string_view, OptimizerKind> kNames[] = {
      {"adam", OptimizerKind::kAdam},
      {"adamw", OptimizerKind::kAdamW},
      {"sgd", OptimizerKind::kSgd},
      {"lion", OptimizerKind::kLion},
      {"muon", OptimizerKind::kMuon}};
  const auto same_letter = [](char a, char b) {
    return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
  };
  for (const auto& [known, kind] : kNames) {
    if (std::equal(known.begin(), known.end(), name.begin(), name.end(), same_letter)) return kind;
  }
  return std::nullopt;
}

std::span<const StepNumber> step_numbers() {
  static constexpr StepNumber kNumbers[] = {{"step", &StepFacts::step},
                                            {"lr", &StepFacts::lr},
                                            {"beta1", &StepFacts::beta1},
                                            {"beta2", &StepFacts::beta2},
                                            {"eps", &StepFacts::eps},
                                            {"weight_decay", &StepFacts::weight_decay},
                                            {"clip", &StepFacts::clip},
                                            {"momentum", &StepFacts::momentum},
                                            {"dampening", &StepFacts::dampening}};
  return kNumbers;
}

void merge_facts(const StepFacts& more, StepFacts& facts) {
  for (const auto& [name, number] : step_numbers()) {
    if (more.*number) facts.*number = more.*number;
  }
  if (more.optimizer) facts.optimizer = more.optimizer;
}

ParameterFacts::ParameterFacts(const OptimizerFacts& facts) : facts_(facts) {
  for (size_t i = 0; i < facts.groups.size(); ++i) {
    const std::string_view glob = facts.groups[i].first;
    if (glob.find_first_of("*?[") == std::string_view::npos) {
      names_[glob].push_back(i);
    } else {
      patterns_.push_back(i);
    }
  }
}

StepFacts ParameterFacts::of(std::string_view parameter) const {
  std::vector<size_t> fitting;
  for (const size_t i : patterns_) {
    if (glob_match(facts_.groups[i].first, parameter)) fitting.push_back(i);
  }
  const auto named = names_.find(parameter);
  if (named != names_.end()) {
    fitting.insert(fitting.end(), named->second.begin(), named->second.end());
    std::sort(fitting.begin(), fitting.end());
  }
  StepFacts facts = facts_.common;
  for (const size_t i : fitting) merge_facts(facts_.groups[i].second, facts);
  return facts;
}

/// nullptr for other keys. Not so a `step`, which may count anything.
static const StepNumber* number_of_metadata(std::string_view key) {
  const auto numbers = step_numbers();
  const auto found = std::find_if(numbers.begin(), numbers.end(), [&](const StepNumber& number) {
    return number.first == key && key != "step";
  });
  return found == numbers.end() ? nullptr : &*found;
}

static std::optional<double> number_in(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nullopt : std::optional(number);
}

StepFacts facts_from_metadata(const Metadata& metadata) {
  StepFacts facts;
  for (const auto& [key, text] : metadata) {
    if (key == "optimizer") facts.optimizer = optimizer_named(text);
    const auto number = number_in(text);
    const StepNumber* known = number_of_metadata(key);
    if (known != nullptr && number) facts.*(known->second) = number;
  }
  return facts;
}

std::vector<std::string> facts_without_number(const Metadata& metadata) {
  std::vector<std::string> keys;
  for (const auto& [key, text] : metadata) {
    if (number_of_metadata(key) != nullptr && !number_in(text)) keys.push_back(key);
  }
  return keys;
}

}  // namespace cairn
