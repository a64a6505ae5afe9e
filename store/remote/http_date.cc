#include "store/remote/http_date.h"

#include <array>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

namespace cairn::remote {

static constexpr int64_t kNsPerSecond = 1'000'000'000;

/// nullopt unless it is `length` digits.
static std::optional<int> number(std::string_view text, size_t begin, size_t length) {
  if (text.size() < begin + length) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(begin, length)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

struct Moment {
  std::optional<int> year, month, day, hour, minute, second;
};

static std::optional<int64_t> to_ns(const Moment& at) {
  if (!at.year || !at.month || !at.day || !at.hour || !at.minute || !at.second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*at.year),
                                         std::chrono::month(static_cast<unsigned>(*at.month)),
                                         std::chrono::day(static_cast<unsigned>(*at.day)));
  // Beyond these years nanoseconds do not fit; a leap second is the next second.
  if (!date.ok() || *at.year < 1970 || *at.year > 2200) return std::nullopt;
  if (*at.hour > 23 || *at.minute > 59 || *at.second > 60) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + *at.hour) * 60 + *at.minute) * 60 + *at.second) * kNsPerSecond;
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  Moment at;
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (text.substr(8, 3) == kMonths[i]) at.month = static_cast<int>(i + 1);
  }
  at.day = number(text, 5, 2);
  at.year = number(text, 12, 4);
  at.hour = number(text, 17, 2);
  at.minute = number(text, 20, 2);
  at.second = number(text, 23, 2);
  return to_ns(at);
}

std::optional<int64_t> parse_rfc3339(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || !text.ends_with('Z')) {
    return std::nullopt;
  }
  const Moment at = {number(text, 0, 4),  number(text, 5, 2),  number(text, 8, 2),
                     number(text, 11, 2), number(text, 14, 2), number(text, 17, 2)};
  return to_ns(at);
}

std::string format_amz_date(int64_t ns_since_1970) {
  const std::time_t seconds = static_cast<std::time_t>(ns_since_1970 / kNsPerSecond);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace cairn::remote
