// The parts of a URL, and text as URLs carry it (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cairn::remote {

/// `scheme://[user[:password]@]host[:port][/path][?query]`; a fragment is dropped.
struct Url {
  std::string scheme;    ///< in lower case
  std::string user;      ///< decoded; empty: none
  std::string password;  ///< decoded
  std::string host;      ///< in lower case, IPv6 with its brackets
  std::string port;      ///< empty: the scheme's own
  std::string path;      ///< as it was written: encoded, empty or with a leading slash
  std::string query;     ///< as it was written, without '?'

  /// `host` or `host:port`, as in the header Host: without a port that is the scheme's own.
  std::string authority() const;
  /// Without user, password and query: what may be shown.
  std::string shown() const;
  /// What is asked for: without user and password.
  std::string text() const;
  /// Whether a secret that is meant for this one may be sent there: scheme, host and port are
  /// equal.
  bool same_origin(const Url& other) const;
};

/// Errors: kUsage telling what is wrong; the text is shown without user, password and query.
Result<Url> parse_url(std::string_view text);

/// The URL that was probably meant by the path of a folder that does not exist: with a slash too
/// few, or without its scheme. nullopt: it looks like a path.
std::optional<std::string> meant_url(std::string_view path);

/// All but `A-Z a-z 0-9 - . _ ~`, and '/' where `keep_slash`, as %XX.
std::string percent_encode(std::string_view text, bool keep_slash = false);
/// nullopt for a '%' without two hexadecimal digits behind it.
std::optional<std::string> percent_decode(std::string_view text);

/// Errors: kUsage unless it is a relative path of plain names: what is empty, `.` or `..`,
/// absolute, not UTF-8, or has control characters, is no key.
Status check_key(std::string_view key);

}  // namespace cairn::remote
