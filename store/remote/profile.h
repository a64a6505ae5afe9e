// The files in which AWS's programs keep settings: `~/.aws/credentials` and `~/.aws/config`.
#pragma once

#include <map>
#include <string>

#include "base/error.h"
#include "store/remote/environment.h"

namespace cairn::remote {

using Settings = std::map<std::string, std::string>;

/// `[section]`, `name = value`, `#` and `;` before comments. Settings of a setting (indented lines)
/// are `outer.inner`. A section that comes twice is one.
std::map<std::string, Settings> parse_settings(std::string_view text);

struct Profile {
  std::string name;
  Settings settings;      ///< of `credentials`, and of `config` what it does not say
  std::string looked_at;  ///< for messages: which files, and what they are not
  std::string get(const std::string& setting) const;
};

/// The one that AWS_PROFILE names, else `default`; from AWS_SHARED_CREDENTIALS_FILE and
/// AWS_CONFIG_FILE, else from the home folder. With none of the files it has no settings.
/// Errors: kAuth: AWS_PROFILE names one that is in neither file, whatever else the environment has.
Result<Profile> read_profile(const Environment& environment);

}  // namespace cairn::remote
