#include "cli/import_roles.h"

#include <fmt/format.h>

#include "base/suggest.h"
#include "lib/roles.h"

namespace cairn {

static constexpr uint64_t kRolesBytesMax = kMiB;

void warn_of_facts(Output& output, const Metadata& metadata) {
  for (const std::string& key : facts_without_number(metadata)) {
    output.warn(fmt::format("the metadata {}={} is no number: nothing is predicted with it", key,
                            metadata.at(key)));
  }
}

static void warn_of_keys(Output& output, const std::string& file, const RoleRules& rules) {
  const std::vector<std::string> known = role_file_keys();
  for (const std::string& key : rules.unknown_keys) {
    const std::string near = did_you_mean(key, known);
    output.warn(
        fmt::format("'{}' in '{}' is not known there and changes nothing; {}", key, file,
                    near.empty() ? fmt::format("known are {}", fmt::join(known, ", ")) : near));
  }
}

static void warn_of_names(Output& output, const std::vector<RolePattern>& idle) {
  for (const RolePattern& pattern : idle) {
    output.warn(
        fmt::format("no tensor matches '{}' ({})", pattern.text(), role_name(pattern.role)));
  }
}

static Result<Bytes> read_roles(const std::string& path) {
  const auto file = posix_fs().info(path);
  if (!file) {
    return fail(file.error().code, file.error().message,
                "--roles takes a file, 'auto' or 'none'; 'cairn help import' shows a file");
  }
  if (file->is_folder || file->bytes > kRolesBytesMax) {
    return fail(Code::kUsage, fmt::format("'{}' is no roles file", path),
                "'cairn help import' shows one");
  }
  return read_file(posix_fs(), path, kRolesBytesMax);
}

Status give_roles(Output& output, const std::string& roles, const Metadata& metadata,
                  std::vector<TensorSource>& tensors, OptimizerFacts& optimizer) {
  if (roles == "none") {
    optimizer.predict = false;
    return {};
  }
  if (roles == "auto") {
    guess_roles(tensors);
    optimizer.common = facts_from_metadata(metadata);
    return {};
  }
  CAIRN_TRY(const Bytes text, read_roles(roles));
  CAIRN_TRY(const RoleRules rules, parse_role_rules(text, roles));
  warn_of_keys(output, roles, rules);
  warn_of_names(output, assign_roles(rules, tensors));
  optimizer = rules.optimizer;
  return {};
}

}  // namespace cairn
