#include "store/remote/url.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "store/remote/ascii.h"

namespace cairn::remote {

static std::string_view own_port(std::string_view scheme) {
  if (scheme == "http") return "80";
  return scheme == "https" ? "443" : "";
}

std::string Url::authority() const {
  return port.empty() || port == own_port(scheme) ? host : host + ":" + port;
}

std::string Url::shown() const {
  std::string text = fmt::format("{}://{}", scheme, authority());
  for (const char c : path)
    text += c >= 0x20 && c < 0x7f ? std::string(1, c) : percent_encode({&c, 1});
  return text;
}

std::string Url::text() const {
  const std::string bare = fmt::format("{}://{}{}", scheme, authority(), path);
  return query.empty() ? bare : bare + "?" + query;
}

bool Url::same_origin(const Url& other) const {
  return scheme == other.scheme && authority() == other.authority();
}

/// What may be shown of a text that is no URL.
static std::string without_secrets(std::string_view text) {
  const size_t scheme_end = text.find("://");
  const size_t begin = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  const size_t end = std::min(text.find_first_of("?#"), text.size());
  const size_t at = text.substr(0, std::min(text.find('/', begin), end)).rfind('@');
  std::string result(text.substr(0, begin));
  result += text.substr(at == std::string_view::npos || at < begin ? begin : at + 1,
                        at == std::string_view::npos || at < begin ? end - begin : end - at - 1);
  return cairn::shown(result);
}

static tl::unexpected<Error> malformed(std::string_view text, std::string_view why) {
  return fail(Code::kUsage, fmt::format("'{}' is no URL: {}", without_secrets(text), why));
}

static bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '\\' && c != '"' && c != '<' &&
           c != '>';
  });
}

static bool is_host(std::string_view host) {
  if (host.starts_with('[')) {
    return host.ends_with(']') && host.size() > 2 &&
           host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdef:.") ==
               std::string_view::npos;
  }
  return !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") ==
                              std::string_view::npos;
}

static Status take_authority(std::string_view authority, Url& url) {
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = authority.substr(0, at);
    const size_t colon = std::min(login.find(':'), login.size());
    const auto user = percent_decode(login.substr(0, colon));
    const auto password = percent_decode(login.substr(std::min(colon + 1, login.size())));
    if (!user || !password) return fail(Code::kUsage, "its user or password is not encoded well");
    url.user = *user;
    url.password = *password;
    authority = authority.substr(at + 1);
  }
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  url.host = lower(authority.substr(0, std::min(colon, authority.size())));
  if (colon != std::string_view::npos) url.port = authority.substr(colon + 1);
  if (!is_host(url.host)) return fail(Code::kUsage, "it names no host");
  if (url.port.size() > 5 || url.port.find_first_not_of("0123456789") != std::string::npos ||
      (url.port.size() == 5 && url.port > "65535")) {
    return fail(Code::kUsage, "its port is no number of a port");
  }
  return {};
}

Result<Url> parse_url(std::string_view text) {
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) {
    return malformed(text, "it has no scheme, as in https://");
  }
  if (!is_plain(text)) return malformed(text, "it has blanks or other characters to be encoded");
  Url url;
  url.scheme = lower(text.substr(0, scheme_end));
  std::string_view rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    url.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    url.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  if (const auto taken = take_authority(rest, url); !taken) {
    return malformed(text, taken.error().message);
  }
  return url;
}

std::optional<std::string> meant_url(std::string_view path) {
  for (const std::string_view scheme : {"s3", "https", "http"}) {
    const std::string begin = fmt::format("{}:/", scheme);
    if (path.starts_with(begin)) {
      return fmt::format("{}://{}", scheme, path.substr(begin.size()));
    }
  }
  const std::string_view host = path.substr(0, path.find('/'));
  const std::string_view name = host.substr(0, host.find(':'));
  if (name.empty() || name.starts_with('.')) return std::nullopt;
  const bool has_port = name.size() + 1 < host.size() &&
                        host.find_first_not_of("0123456789", name.size() + 1) == host.npos;
  if (has_port) return fmt::format("http://{}", path);
  const size_t dot = name.rfind('.');
  const bool has_domain = dot != name.npos && dot + 2 < name.size() && name.size() < path.size();
  return has_domain ? std::optional(fmt::format("https://{}", path)) : std::nullopt;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    const auto byte = static_cast<uint8_t>(c);
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    std::array<uint8_t, 1> byte{};
    if (!from_hex(lower(text.substr(i + 1, 2)), byte)) return std::nullopt;
    decoded += static_cast<char>(byte[0]);
    i += 2;
  }
  return decoded;
}

Status check_key(std::string_view key) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kUsage, fmt::format("'{}' is no key: {}", cairn::shown(key), why));
  };
  if (key.empty() || key.size() > 1024) return refuse("it has no bytes or more than 1024");
  if (!is_utf8(key)) return refuse("it is not UTF-8");
  for (const char c : key) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return refuse("it has control characters");
  }
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view name = key.substr(begin, end - begin);
    if (name.empty() || name == "." || name == "..") return refuse("it is no path of plain names");
    begin = end + 1;
  }
  return {};
}

}  // namespace cairn::remote
