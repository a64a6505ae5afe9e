#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>

#include "base/fs.h"
#include "base/suggest.h"

namespace cairn {
namespace {

const TomlEntry* find_entry(const SettingsFile& file, std::string_view table,
                            std::string_view key) {
  for (const TomlEntry& entry : file.entries) {
    if (entry.table == table && entry.key == key) return &entry;
  }
  return nullptr;
}

Status set_all(const Flag& flag, const std::vector<std::string>& values, std::string origin) {
  if (values.size() != 1 && flag.takes != Takes::kValues)
    return fail(Code::kUsage, fmt::format("{}: one value is expected", origin));
  for (const std::string& value : values) {
    if (Status status = flag.set(value); !status) {
      Error error = std::move(status).error();
      error.message = std::move(origin) + ": " + error.message;
      return tl::unexpected<Error>(std::move(error));
    }
  }
  return {};
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

Result<SettingsFile> read_settings_file(const Environment& environment) {
  SettingsFile file;
  if (const auto folder = environment("XDG_CONFIG_HOME")) {
    file.path = *folder + "/cairn/config.toml";
  } else if (const auto home = environment("HOME")) {
    file.path = *home + "/.config/cairn/config.toml";
  }
  if (file.path.empty()) return file;
  const auto text = read_file(posix_fs(), file.path, kMiB);
  if (!text && text.error().code == Code::kNotFound) return file;
  if (!text) {
    return fail(Code::kFailed, fmt::format("cannot read the settings: {}", text.error().message));
  }
  CAIRN_TRY(file.entries, parse_toml(as_text(*text), file.path));
  return file;
}

std::string environment_name(std::string_view flag) {
  std::string name = "CAIRN_";
  for (const char c : flag)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Status set_from_settings(const FlagSet& flags, const ParsedWords& parsed, std::string_view command,
                         const Environment& environment, const SettingsFile& file) {
  for (const Flag& flag : flags.flags()) {
    if (parsed.flags.contains(flag.name)) continue;
    const std::string variable = environment_name(flag.name);
    if (const auto value = environment(variable)) {
      CAIRN_CHECK(set_all(flag, {*value}, "environment variable " + variable));
      continue;
    }
    const TomlEntry* entry = find_entry(file, command, flag.name);
    if (entry == nullptr) entry = find_entry(file, "", flag.name);
    if (entry == nullptr) continue;
    CAIRN_CHECK(set_all(flag, entry->values,
                        fmt::format("'{}', line {}, '{}'", file.path, entry->line, entry->key)));
  }
  return {};
}

static std::string with_hint(std::string text, const std::string& hint) {
  return hint.empty() ? text : text + "; " + hint;
}

std::vector<std::string> settings_warnings(const FlagSet& flags, std::string_view command,
                                           const KnownFlags& known, const SettingsFile& file) {
  std::vector<std::string> warnings, commands, all_flags;
  for (const auto& [name, names] : known) {
    commands.push_back(name);
    all_flags.insert(all_flags.end(), names.begin(), names.end());
  }
  std::set<std::string> unknown_tables;
  for (const TomlEntry& entry : file.entries) {
    const auto warn = [&](const std::string& what, const std::string& hint) {
      warnings.push_back(
          with_hint(fmt::format("'{}', line {}: {}", file.path, entry.line, what), hint));
    };
    if (entry.table.empty()) {
      const bool is_known =
          std::find(all_flags.begin(), all_flags.end(), entry.key) != all_flags.end();
      if (!is_known) {
        warn(fmt::format("no command has a flag '{}'", entry.key),
             did_you_mean(entry.key, all_flags));
      }
    } else if (!known.contains(entry.table)) {
      if (!unknown_tables.insert(entry.table).second) continue;
      warn(fmt::format("there is no command '{}'", entry.table),
           did_you_mean(entry.table, commands));
    } else if (entry.table == command && flags.find(entry.key) == nullptr) {
      warn(fmt::format("{} has no flag '{}'", command, entry.key),
           did_you_mean(entry.key, flags.names()));
    }
  }
  return warnings;
}

}  // namespace cairn
