#include "store/remote/profile.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/fs.h"
#include "base/utf8.h"
#include "store/remote/ascii.h"

namespace cairn::remote {

static constexpr uint64_t kFileBytesMost = kMiB;

/// Without a comment behind a blank.
static std::string_view value_of(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i) {
    const bool after_blank = text[i - 1] == ' ' || text[i - 1] == '\t';
    if (after_blank && (text[i] == '#' || text[i] == ';')) return trimmed(text.substr(0, i));
  }
  return trimmed(text);
}

std::map<std::string, Settings> parse_settings(std::string_view text) {
  std::map<std::string, Settings> sections;
  std::string section, outer;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view bare = trimmed(line);
    if (bare.empty() || bare[0] == '#' || bare[0] == ';') continue;
    if (bare[0] == '[') {
      section = trimmed(bare.substr(1, std::min(bare.find(']'), bare.size()) - 1));
      sections[section];
      outer.clear();
      continue;
    }
    const size_t equals = bare.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(trimmed(bare.substr(0, equals)));
    const std::string value(value_of(bare.substr(equals + 1)));
    const bool is_inner = line[0] == ' ' || line[0] == '\t';
    if (!is_inner) outer = value.empty() ? name : "";
    if (is_inner && outer.empty()) continue;
    sections[section][is_inner ? outer + "." + name : name] = value;
  }
  return sections;
}

std::string Profile::get(const std::string& setting) const {
  const auto found = settings.find(setting);
  return found == settings.end() ? "" : found->second;
}

static std::string file_path(const Environment& environment, const std::string& variable,
                             const std::string& name) {
  std::string path = environment.get(variable);
  const std::string home = environment.home();
  if (path.empty()) return home.empty() ? "" : home + "/.aws/" + name;
  if (path.starts_with("~/") && !home.empty()) path = home + path.substr(1);
  return path;
}

/// What a file has of the profile goes where there is nothing yet. False: not of it.
static bool add_file(const std::string& path, const std::string& section, Profile& profile) {
  const auto bytes = path.empty() ? Result<Bytes>() : read_file(posix_fs(), path, kFileBytesMost);
  const bool is_there = bytes && !path.empty();
  const auto sections =
      is_there ? parse_settings(as_text(*bytes)) : std::map<std::string, Settings>();
  const auto found = sections.find(section);
  const char* said = !is_there                 ? "not readable"
                     : found == sections.end() ? "no such profile"
                                               : "read";
  profile.looked_at += fmt::format("{}'{}': {}", profile.looked_at.empty() ? "" : ", ", path, said);
  if (found == sections.end()) return false;
  profile.settings.insert(found->second.begin(), found->second.end());
  return true;
}

Result<Profile> read_profile(const Environment& environment) {
  Profile profile;
  profile.name = environment.get("AWS_PROFILE");
  if (profile.name.empty()) profile.name = environment.get("AWS_DEFAULT_PROFILE");
  const bool is_asked = !profile.name.empty();
  if (!is_asked) profile.name = "default";
  const bool is_default = profile.name == "default";
  const std::string credentials =
      file_path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  const std::string config = file_path(environment, "AWS_CONFIG_FILE", "config");
  const bool in_credentials = add_file(credentials, profile.name, profile);
  const bool in_config =
      add_file(config, is_default ? profile.name : "profile " + profile.name, profile);
  if (is_asked && !is_default && !in_credentials && !in_config) {
    return fail(
        Code::kAuth,
        fmt::format("there is no profile '{}' ({})", shown(profile.name), profile.looked_at),
        "set AWS_PROFILE to one that is there, or unset it to go by the other variables");
  }
  return profile;
}

}  // namespace cairn::remote
