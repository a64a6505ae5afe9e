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

static void take(const std::optional<double>& more, std::optional<double>& fact) {
  if (more) fact = more;
}

void merge_facts(const StepFacts& more, StepFacts& facts) {
  take(more.step, facts.step);
  take(more.lr, facts.lr);
  take(more.beta1, facts.beta1);
  take(more.beta2, facts.beta2);
  take(more.eps, facts.eps);
  take(more.weight_decay, facts.weight_decay);
  take(more.clip, facts.clip);
  take(more.momentum, facts.momentum);
  take(more.dampening, facts.dampening);
  if (more.optimizer) facts.optimizer = more.optimizer;
}

StepFacts OptimizerFacts::of(std::string_view parameter) const {
  StepFacts facts = common;
  for (const auto& [glob, more] : groups) {
    if (glob_match(glob, parameter)) merge_facts(more, facts);
  }
  return facts;
}

static constexpr std::pair<std::string_view, std::optional<double> StepFacts::*> kInMetadata[] = {
    {"lr", &StepFacts::lr},
    {"beta1", &StepFacts::beta1},
    {"beta2", &StepFacts::beta2},
    {"eps", &StepFacts::eps},
    {"weight_decay", &StepFacts::weight_decay},
    {"clip", &StepFacts::clip},
    {"momentum", &StepFacts::momentum},
    {"dampening", &StepFacts::dampening}};

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
    for (const auto& [name, fact] : kInMetadata) {
      if (key == name && number) facts.*fact = number;
    }
  }
  return facts;
}

std::vector<std::string> facts_without_number(const Metadata& metadata) {
  std::vector<std::string> keys;
  for (const auto& [key, text] : metadata) {
    for (const auto& [name, fact] : kInMetadata) {
      if (key == name && !number_in(text)) keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace cairn
