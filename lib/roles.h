// What the tensors of a checkpoint are to their optimizer, told from their names: by a roles file
// that the user wrote, or by the habits of PyTorch state dicts, DCP and TorchTitan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/cairn.hpp"
#include "lib/optimizer_facts.h"
#include "store/layout.h"

namespace cairn {

/// A role, and how the tensors that have it are called: `{p}` stands for the parameter.
struct RolePattern {
  Role role = Role::kNone;
  std::string before, after;  ///< of `{p}`

  std::string text() const { return before + "{p}" + after; }
};

/// What a roles file says: which tensors are what, and what the optimizer did in the step.
struct RoleRules {
  std::optional<std::vector<RolePattern>> patterns;  ///< unset: told from the names
  OptimizerFacts optimizer;
  std::vector<std::string> unknown_keys;  ///< that change nothing, as they stand in the file
};

/// "weight", "master", "exp_avg", ...; nullopt for others.
std::optional<Role> role_named(std::string_view name);

/// What may stand in a roles file.
std::vector<std::string> role_file_keys();

/// Reads the JSON of a roles file (docs/cli/import.md). Errors: kUsage naming what is wrong. A key
/// that is not known is none: optimizers have settings of their own, and later versions more keys.
Result<RoleRules> parse_role_rules(ByteSpan text, std::string_view path);

/// Gives every source its role and parameter by the rules: the pattern with the most letters wins;
/// what matches none has no role. Returns the patterns that no source has its role by.
std::vector<RolePattern> assign_roles(const RoleRules& rules, std::vector<TensorSource>& sources);

/// The same by the names alone. A part `exp_avg`, `exp_avg_sq`, `max_exp_avg_sq`,
/// `momentum_buffer`, `step` or `master` at the beginning (`exp_avg.w`) or the end
/// (`optim.state.w.exp_avg`) of a name makes an optimizer's tensor; any other tensor of floats is a
/// weight.
void guess_roles(std::vector<TensorSource>& sources);

/// What stands for a roles file: roles are told from the names, numbers from metadata; or nothing
/// is predicted from the optimizer.
inline constexpr std::string_view kRolesByName = "auto", kNoRoles = "none";

/// What was meant to say something of the optimizer and does not.
struct IdleFacts {
  std::vector<std::string> unknown_keys;  ///< of the file
  std::vector<RolePattern> names;         ///< that no tensor has
};

/// Says what the tensors are to their optimizer, and what is known of its step. `roles`: one of the
/// two words, or the text of a roles file, called `path` in errors. `metadata`: of the tag.
/// Errors: as parse_role_rules.
Result<IdleFacts> give_roles(std::string_view roles, std::string_view path,
                             const Metadata& metadata, std::vector<TensorSource>& tensors,
                             OptimizerFacts& optimizer);

}  // namespace cairn
