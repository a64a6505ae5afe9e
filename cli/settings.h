// Values for flags that the command line left out: CAIRN_* environment variables, then the settings
// file (a table named as the command, then the keys above all tables), then the flag's default.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/flags.h"
#include "cli/parser.h"
#include "cli/toml.h"

namespace cairn {

/// nullopt for a variable that is not set. An empty one counts as not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

Environment process_environment();

struct SettingsFile {
  std::string path;
  std::vector<TomlEntry> entries;
};

/// `$XDG_CONFIG_HOME/cairn/config.toml`, else `~/.config/cairn/config.toml`; empty entries when
/// there is none. Errors: kUsage when it is not in its format; what the OS says when it cannot be
/// read.
Result<SettingsFile> read_settings_file(const Environment& environment);

/// `max-shard-size` -> `CAIRN_MAX_SHARD_SIZE`.
std::string environment_name(std::string_view flag);

/// Sets every flag that `parsed` does not hold from the settings. Errors: kUsage, naming the
/// origin.
Status set_from_settings(const FlagSet& flags, const ParsedWords& parsed, std::string_view command,
                         const Environment& environment, const SettingsFile& file);

/// The flags of each command.
using KnownFlags = std::map<std::string, std::vector<std::string>>;

/// What the file says of `command` that is no flag of it, and what it says of no command at all:
/// one warning each.
std::vector<std::string> settings_warnings(const FlagSet& flags, std::string_view command,
                                           const KnownFlags& known, const SettingsFile& file);

}  // namespace cairn
