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

static void warn_of_keys(Output& output, const std::string& file, const IdleFacts& idle) {
  const std::vector<std::string> known = role_file_keys();
  for (const std::string& key : idle.unknown_keys) {
    const std::string near = did_you_mean(key, known);
    output.warn(
        fmt::format("'{}' in '{}' is not known there and changes nothing; {}", key, file,
                    near.empty() ? fmt::format("known are {}", fmt::join(known, ", ")) : near));
  }
}

static void warn_of_names(Output& output, const IdleFacts& idle) {
  for (const RolePattern& pattern : idle.names) {
    output.warn(
        fmt::format("no tensor matches '{}' ({})", pattern.text(), role_name(pattern.role)));
  }
}

/// The text of the file; the words that stand for one are their own.
static Result<std::string> read_roles(const std::string& roles) {
  if (roles == kRolesByName || roles == kNoRoles) return roles;
  const auto file = posix_fs().info(roles);
  if (!file) {
    return fail(file.error().code, file.error().message,
                "--roles takes a file, 'auto' or 'none'; 'cairn help import' shows a file");
  }
  if (file->is_folder || file->bytes > kRolesBytesMax) {
    return fail(Code::kUsage, fmt::format("'{}' is no roles file", roles),
                "'cairn help import' shows one");
  }
  CAIRN_TRY(const Bytes text, read_file(posix_fs(), roles, kRolesBytesMax));
  return std::string(text.begin(), text.end());
}

Status import_roles(Output& output, const std::string& roles, const Metadata& metadata,
                    std::vector<TensorSource>& tensors, OptimizerFacts& optimizer) {
  CAIRN_TRY(const std::string text, read_roles(roles));
  CAIRN_TRY(const IdleFacts idle, give_roles(text, roles, metadata, tensors, optimizer));
  warn_of_keys(output, roles, idle);
  warn_of_names(output, idle);
  return {};
}

}  // namespace cairn
