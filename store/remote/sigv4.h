// Signatures of AWS, version 4, as S3 takes them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "store/remote/http_message.h"

namespace cairn::remote {

struct SigningKeys {
  std::string access_key, secret_key;
  std::string session_token;  ///< empty: none
};

/// What is signed, and for whom.
struct SigningScope {
  std::string region, service = "s3";
  int64_t wall_ns = 0;
};

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

/// The query of a URL: pairs in order, encoded, `name=value` each.
using QueryPairs = std::vector<std::pair<std::string, std::string>>;
std::string encode_query(QueryPairs pairs);

/// The request as it is hashed: method, path, query, headers with host, and `payload`. The path and
/// the query of `request.url` are taken as they are, which is how they are sent: made by
/// percent_encode() and encode_query().
std::string canonical_request(const HttpRequest& request, const std::string& payload);
/// What the canonical request is signed as.
std::string string_to_sign(const std::string& canonical, const SigningScope& scope);

/// Adds `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and `Authorization`, all
/// secret. `payload`: the body's SHA-256 in hexadecimal, or kUnsignedPayload. All headers that are
/// there already are signed with them.
void sign_request(HttpRequest& request, const SigningKeys& keys, const SigningScope& scope,
                  const std::string& payload);

}  // namespace cairn::remote
