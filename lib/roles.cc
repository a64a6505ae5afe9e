#include "lib/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace cairn {

using nlohmann::json;

static constexpr std::string_view kParameter = "{p}";

std::optional<Role> role_named(std::string_view name) {
  for (const Role role : {Role::kWeight, Role::kMaster, Role::kExpAvg, Role::kExpAvgSq,
                          Role::kMaxExpAvgSq, Role::kStep, Role::kOther}) {
    if (role_name(role) == name) return role;
  }
  return std::nullopt;
}

static Result<RolePattern> parse_pattern(Role role, const json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  const size_t at = text == nullptr ? std::string::npos : text->find(kParameter);
  if (at == std::string::npos || text->find(kParameter, at + 1) != std::string::npos) {
    return fail(Code::kUsage, fmt::format("the name of '{}' must be a text with one {{p}} in it",
                                          role_name(role)));
  }
  return RolePattern{role, text->substr(0, at), text->substr(at + kParameter.size())};
}

static Result<StepFacts> take_facts(const json& object) {
  StepFacts facts;
  if (object.contains("optimizer")) {
    const auto* name = object["optimizer"].get_ptr<const std::string*>();
    if (name == nullptr) return fail(Code::kUsage, "'optimizer' must be a text");
    facts.optimizer = optimizer_named(*name);
  }
  for (const auto& [key, fact] : step_numbers()) {
    if (!object.contains(key)) continue;
    if (!object[key].is_number()) {
      return fail(Code::kUsage, fmt::format("'{}' must be a number", key));
    }
    facts.*fact = object[key].get<double>();
  }
  return facts;
}

/// A glob, or a list of them; nullopt for anything else.
static std::optional<std::vector<std::string>> globs_of(const json& match) {
  if (match.is_string()) return std::vector{match.get<std::string>()};
  const bool is_list = match.is_array() && std::all_of(match.begin(), match.end(),
                                                       [](const json& g) { return g.is_string(); });
  if (!is_list) return std::nullopt;
  return match.get<std::vector<std::string>>();
}

static Status take_groups(const json& groups, OptimizerFacts& optimizer) {
  const auto malformed = [] {
    return fail(Code::kUsage, "'groups' must be a list of objects with a 'match' each");
  };
  if (!groups.is_array()) return malformed();
  for (const json& group : groups) {
    if (!group.is_object() || !group.contains("match")) return malformed();
    const auto globs = globs_of(group["match"]);
    if (!globs) return malformed();
    CAIRN_TRY(const StepFacts facts, take_facts(group));
    for (const std::string& glob : *globs) optimizer.groups.emplace_back(glob, facts);
  }
  return {};
}

std::vector<std::string> role_file_keys() {
  std::vector<std::string> keys = {"optimizer", "names", "groups", "match"};
  for (const auto& [key, fact] : step_numbers()) keys.emplace_back(key);
  return keys;
}

/// Only groups have a `match`, and only the file has names and groups.
static std::vector<std::string> unknown_keys_of(const json& object, bool is_group) {
  const std::vector<std::string> known = role_file_keys();
  std::vector<std::string> unknown;
  for (const auto& [key, value] : object.items()) {
    const bool is_misplaced = is_group ? key == "names" || key == "groups" : key == "match";
    if (is_misplaced || std::find(known.begin(), known.end(), key) == known.end()) {
      unknown.push_back(key);
    }
  }
  return unknown;
}

static Result<std::vector<RolePattern>> take_names(const json& names) {
  if (!names.is_object()) return fail(Code::kUsage, "'names' must be an object");
  std::vector<RolePattern> patterns;
  for (const auto& [key, value] : names.items()) {
    const auto role = role_named(key);
    if (!role) return fail(Code::kUsage, fmt::format("there is no role '{}'", key));
    CAIRN_TRY(RolePattern pattern, parse_pattern(*role, value));
    for (const RolePattern& other : patterns) {
      if (other.text() != pattern.text()) continue;
      return fail(Code::kUsage, fmt::format("'{}' is the name of '{}' and of '{}'", pattern.text(),
                                            role_name(other.role), key));
    }
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

static Result<RoleRules> parse_rules(const json& object) {
  if (!object.is_object()) return fail(Code::kUsage, "it is not a JSON object");
  RoleRules rules;
  rules.unknown_keys = unknown_keys_of(object, false);
  // Some other JSON file, named by mistake.
  if (!object.empty() && rules.unknown_keys.size() == object.size()) {
    return fail(Code::kUsage, "it says nothing about an optimizer");
  }
  CAIRN_TRY(rules.optimizer.common, take_facts(object));
  if (object.contains("groups")) {
    CAIRN_CHECK(take_groups(object["groups"], rules.optimizer));
    for (const json& group : object["groups"]) {
      const auto more = unknown_keys_of(group, true);
      rules.unknown_keys.insert(rules.unknown_keys.end(), more.begin(), more.end());
    }
  }
  if (object.contains("names")) {
    CAIRN_TRY(rules.patterns, take_names(object["names"]));
  }
  return rules;
}

/// Errors: kUsage with the line where it ceases to be JSON.
static Result<json> parse_json(ByteSpan text) {
  try {
    return json::parse(text.begin(), text.end());
  } catch (const json::out_of_range&) {
    return fail(Code::kUsage, "a number in it is beyond what floats can say");
  } catch (const json::parse_error& error) {
    const auto bytes = std::min<ptrdiff_t>(static_cast<ptrdiff_t>(error.byte), std::ssize(text));
    const auto line =
        1 + std::count(text.begin(), text.begin() + std::max<ptrdiff_t>(bytes - 1, 0), '\n');
    return fail(Code::kUsage, fmt::format("it is no JSON from line {} (byte {}) on", line, bytes));
  }
}

static Result<RoleRules> parse_text(ByteSpan text) {
  CAIRN_TRY(const json object, parse_json(text));
  return parse_rules(object);
}

Result<RoleRules> parse_role_rules(ByteSpan text, std::string_view path) {
  auto rules = parse_text(text);
  if (!rules) {
    return fail(Code::kUsage, fmt::format("'{}' is no roles file: {}", path, rules.error().message),
                "'cairn help import' shows one");
  }
  return rules;
}

static bool matches(const RolePattern& pattern, std::string_view name) {
  return name.size() > pattern.before.size() + pattern.after.size() &&
         name.starts_with(pattern.before) && name.ends_with(pattern.after);
}

std::vector<RolePattern> assign_roles(const RoleRules& rules, std::vector<TensorSource>& sources) {
  if (!rules.patterns) {
    guess_roles(sources);
    return {};
  }
  std::set<Role> assigned;
  for (TensorSource& source : sources) {
    const RolePattern* best = nullptr;
    for (const RolePattern& pattern : *rules.patterns) {
      if (!matches(pattern, source.name)) continue;
      const auto letters = [](const RolePattern& p) { return p.before.size() + p.after.size(); };
      if (best == nullptr || letters(pattern) > letters(*best)) best = &pattern;
    }
    source.role = best == nullptr ? Role::kNone : best->role;
    source.parameter.clear();
    if (best == nullptr) continue;
    assigned.insert(best->role);
    source.parameter = source.name.substr(
        best->before.size(), source.name.size() - best->before.size() - best->after.size());
  }
  std::vector<RolePattern> idle;
  for (const RolePattern& pattern : *rules.patterns) {
    if (!assigned.contains(pattern.role)) idle.push_back(pattern);
  }
  return idle;
}

/// The name without what state dicts put before it.
static std::string_view without_prefixes(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kPrefixes = {
      "optimizer.", "optim.", "state.", "model.", "module.", "_orig_mod.", "model_state_dict."};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
      name.remove_prefix(prefix.size());
      again = true;
    }
  }
  return name;
}

static bool guess_optimizer_role(TensorSource& source) {
  const std::string_view name = without_prefixes(source.name);
  static constexpr std::array<std::pair<std::string_view, Role>, 6> kWords = {
      {{"exp_avg", Role::kExpAvg},
       {"exp_avg_sq", Role::kExpAvgSq},
       {"max_exp_avg_sq", Role::kMaxExpAvgSq},
       {"step", Role::kStep},
       {"master", Role::kMaster},
       {"momentum_buffer", Role::kExpAvg}}};
  for (const auto& [each, role] : kWords) {
    const std::string word(each);
    if (name == word) {  // of the whole optimizer
      source.role = role;
      source.parameter.clear();
    } else if (name.starts_with(word + ".")) {
      source.role = role;
      source.parameter = without_prefixes(name.substr(word.size() + 1));
    } else if (name.ends_with("." + word)) {
      source.role = role;
      source.parameter = without_prefixes(name.substr(0, name.size() - word.size() - 1));
    } else {
      continue;
    }
    return true;
  }
  return false;
}

void guess_roles(std::vector<TensorSource>& sources) {
  for (TensorSource& source : sources) {
    if (guess_optimizer_role(source)) continue;
    source.role = is_float(source.dtype) ? Role::kWeight : Role::kOther;
    source.parameter = source.role == Role::kWeight ? without_prefixes(source.name) : "";
  }
}

Result<IdleFacts> give_roles(std::string_view roles, std::string_view path,
                             const Metadata& metadata, std::vector<TensorSource>& tensors,
                             OptimizerFacts& optimizer) {
  if (roles == kNoRoles) {
    optimizer.predict = false;
    return IdleFacts();
  }
  if (roles == kRolesByName) {
    guess_roles(tensors);
    optimizer.common = facts_from_metadata(metadata);
    return IdleFacts();
  }
  const ByteSpan text(reinterpret_cast<const uint8_t*>(roles.data()), roles.size());
  CAIRN_TRY(RoleRules rules, parse_role_rules(text, path));
  optimizer = std::move(rules.optimizer);
  return IdleFacts{std::move(rules.unknown_keys), assign_roles(rules, tensors)};
}

}  // namespace cairn
