#include "store/remote/sigv4.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/sha256.h"
#include "store/remote/ascii.h"
#include "store/remote/http_date.h"

namespace cairn::remote {

static constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

static std::string hash_hex(std::string_view text) { return to_hex(sha256(as_bytes(text))); }

std::string encode_query(QueryPairs pairs) {
  for (auto& [name, value] : pairs) {
    name = percent_encode(name);
    value = percent_encode(value);
  }
  std::sort(pairs.begin(), pairs.end());
  std::string query;
  for (const auto& [name, value] : pairs) {
    query += fmt::format("{}{}={}", query.empty() ? "" : "&", name, value);
  }
  return query;
}

/// In lower case; without blanks at the ends, and one for each run of them within.
static std::pair<std::string, std::string> canonical_header(const HttpHeader& header) {
  std::pair<std::string, std::string> made;
  made.first = lower(header.name);
  for (const char c : header.value) {
    const bool is_blank = c == ' ' || c == '\t';
    if (is_blank && (made.second.empty() || made.second.back() == ' ')) continue;
    made.second += is_blank ? ' ' : c;
  }
  if (made.second.ends_with(' ')) made.second.pop_back();
  return made;
}

static std::vector<std::pair<std::string, std::string>> signed_headers(const HttpRequest& request) {
  std::vector<std::pair<std::string, std::string>> headers;
  headers.emplace_back("host", request.url.authority());
  for (const HttpHeader& header : request.headers) headers.push_back(canonical_header(header));
  std::stable_sort(headers.begin(), headers.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return headers;
}

static std::string names_of(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string names;
  for (const auto& [name, value] : headers) names += (names.empty() ? "" : ";") + name;
  return names;
}

std::string canonical_request(const HttpRequest& request, const std::string& payload) {
  const auto headers = signed_headers(request);
  std::string lines;
  for (const auto& [name, value] : headers) lines += name + ":" + value + "\n";
  const std::string& path = request.url.path;
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, path.empty() ? "/" : path,
                     request.url.query, lines, names_of(headers), payload);
}

static std::string scope_text(const SigningScope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", format_amz_date(scope.wall_ns).substr(0, 8),
                     scope.region, scope.service);
}

std::string string_to_sign(const std::string& canonical, const SigningScope& scope) {
  return fmt::format("{}\n{}\n{}\n{}", kAlgorithm, format_amz_date(scope.wall_ns),
                     scope_text(scope), hash_hex(canonical));
}

static std::string signature_of(const std::string& text, const SigningKeys& keys,
                                const SigningScope& scope) {
  const std::string day = format_amz_date(scope.wall_ns).substr(0, 8);
  Sha256Digest key = hmac_sha256(as_bytes("AWS4" + keys.secret_key), as_bytes(day));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    key = hmac_sha256(key, as_bytes(part));
  }
  return to_hex(hmac_sha256(key, as_bytes(text)));
}

void sign_request(HttpRequest& request, const SigningKeys& keys, const SigningScope& scope,
                  const std::string& payload) {
  for (HttpHeader& header : request.headers) header.secret = true;
  request.headers.push_back({"x-amz-content-sha256", payload, true});
  request.headers.push_back({"x-amz-date", format_amz_date(scope.wall_ns), true});
  if (!keys.session_token.empty()) {
    request.headers.push_back({"x-amz-security-token", keys.session_token, true});
  }
  const std::string text = string_to_sign(canonical_request(request, payload), scope);
  request.headers.push_back(
      {"Authorization",
       fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                   keys.access_key, scope_text(scope), names_of(signed_headers(request)),
                   signature_of(text, keys, scope)),
       true});
}

}  // namespace cairn::remote
