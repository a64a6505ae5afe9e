// Dates as HTTP and AWS write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cairn::remote {

/// Nanoseconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`; nullopt for other text (the two
/// obsolete forms of RFC 9110 too).
std::optional<int64_t> parse_http_date(std::string_view text);
/// Of `2026-01-31T23:59:59Z`, with a fraction or without.
std::optional<int64_t> parse_rfc3339(std::string_view text);
/// `20260131T235959Z`.
std::string format_amz_date(int64_t ns_since_1970);

}  // namespace cairn::remote
