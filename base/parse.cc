#include "base/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/bytes.h"

namespace cairn {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Plain decimals only: from_chars alone would also take "inf", "nan" and exponents.
std::optional<double> decimal(std::string_view text) {
  const bool plain =
      !text.empty() && is_digit(text.front()) &&
      std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!plain || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr Unit kSizeUnits[] = {
    {"", 1},
    {"b", 1},
    {"k", kKiB},
    {"kib", kKiB},
    {"m", kMiB},
    {"mib", kMiB},
    {"g", kGiB},
    {"gib", kGiB},
    {"t", 1024 * kGiB},
    {"tib", 1024 * kGiB},
    {"kb", 1'000},
    {"mb", 1'000'000},
    {"gb", 1'000'000'000},
    {"tb", 1'000'000'000'000},
};

constexpr Unit kTimeUnits[] = {{"s", 1},      {"m", 60},         {"h", 3600},
                               {"d", 86'400}, {"w", 7 * 86'400}, {"", 1}};

std::optional<uint64_t> factor_of(std::span<const Unit> units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

tl::unexpected<Error> fail_box(std::string_view text, std::string_view why) {
  return fail(Code::kUsage, fmt::format("'{}' is not a box: {}", text, why),
              "one START:STOP for each axis, as in \"0:4,:\"; START and STOP may be left out");
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  const std::string small = lower(trim(text));
  const size_t digits = std::min(small.find_first_not_of("0123456789."), small.size());
  const std::string_view number = std::string_view(small).substr(0, digits);
  const auto factor = factor_of(kSizeUnits, trim(std::string_view(small).substr(digits)));
  const auto malformed = fail(Code::kUsage, fmt::format("'{}' is not a size", text),
                              "sizes look like 4096, 512MiB or 5GB");
  if (!factor) return malformed;
  const auto too_large = fail(Code::kUsage, fmt::format("the size '{}' is too large", text));
  if (const auto whole = whole_number(number)) {
    const auto bytes = checked_mul(*whole, *factor);
    if (!bytes) return too_large;
    return *bytes;
  }
  const auto fraction = decimal(number);
  if (!fraction) return malformed;
  const double bytes = std::floor(*fraction * static_cast<double>(*factor));
  if (bytes >= 0x1p63) return too_large;
  return static_cast<uint64_t>(bytes);
}

Result<uint64_t> parse_duration_s(std::string_view text) {
  const std::string small = lower(trim(text));
  const auto malformed = fail(Code::kUsage, fmt::format("'{}' is not a duration", text),
                              "durations look like 90s, 15m, 36h, 7d or 1d12h");
  if (small.empty()) return malformed;
  uint64_t seconds = 0;
  for (size_t at = 0; at < small.size();) {
    const size_t digits = std::min(small.find_first_not_of("0123456789", at), small.size());
    const size_t letters = std::min(small.find_first_of("0123456789", digits), small.size());
    const auto number = whole_number(std::string_view(small).substr(at, digits - at));
    const std::string_view name = std::string_view(small).substr(digits, letters - digits);
    const auto factor = factor_of(kTimeUnits, name);
    if (!number || !factor || (name.empty() && at != 0)) return malformed;
    const auto part = checked_mul(*number, *factor);
    const auto sum = part ? checked_add(seconds, *part) : std::nullopt;
    if (!sum) return fail(Code::kUsage, fmt::format("the duration '{}' is too long", text));
    seconds = *sum;
    at = letters;
  }
  return seconds;
}

Result<uint64_t> parse_count(std::string_view text) {
  if (const auto value = whole_number(trim(text))) return *value;
  return fail(Code::kUsage, fmt::format("'{}' is not a whole number from 0 to 2^64 - 1", text));
}

Result<double> parse_percent(std::string_view text) {
  std::string_view number = trim(text);
  if (number.ends_with('%')) number = trim(number.substr(0, number.size() - 1));
  const auto value = decimal(number);
  if (value && *value > 0 && *value <= 100) return *value;
  return fail(Code::kUsage, fmt::format("'{}' is not a percentage above 0 and up to 100", text));
}

Result<double> parse_dead_percent(std::string_view text) {
  std::string_view number = trim(text);
  if (number.ends_with('%')) number = trim(number.substr(0, number.size() - 1));
  const auto value = decimal(number);
  if (value && *value >= 0 && *value < 100) return *value;
  return fail(Code::kUsage, fmt::format("'{}' is not a percentage from 0 to below 100", text));
}

Result<double> parse_factor(std::string_view text) {
  const auto value = decimal(trim(text));
  if (value && *value >= 1) return *value;
  return fail(Code::kUsage, fmt::format("'{}' is not a number of at least 1", text));
}

Result<bool> parse_bool(std::string_view text) {
  const std::string small = lower(trim(text));
  if (small == "true" || small == "yes" || small == "on" || small == "1") return true;
  if (small == "false" || small == "no" || small == "off" || small == "0") return false;
  return fail(Code::kUsage, fmt::format("'{}' is neither true nor false", text));
}

Result<std::string> parse_store(std::string_view text) {
  constexpr std::string_view kFile = "file://";
  if (text.starts_with(kFile)) text.remove_prefix(kFile.size());
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || text.substr(0, scheme).find('/') != text.npos) {
    return std::string(text);
  }
  const std::string name = lower(text.substr(0, scheme));
  if (name == "https" || name == "http" || name == "s3") {
    return name + std::string(text.substr(scheme));
  }
  return fail(Code::kUsage,
              fmt::format("'{}': stores at '{}://' are not known to this version", text, name),
              "name a folder, or a URL of 'https://' or 's3://'");
}

Result<KeyValue> parse_key_value(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(Code::kUsage, fmt::format("'{}' is not of the form NAME=VALUE", text));
  return KeyValue{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<std::vector<AxisRange>> parse_box(std::string_view text) {
  std::vector<AxisRange> box;
  std::string_view rest = trim(text);
  while (!rest.empty() || !box.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view axis = rest.substr(0, comma);
    const size_t colon = axis.find(':');
    if (colon == std::string_view::npos)
      return fail_box(text, fmt::format("axis {} has no ':'", box.size()));
    AxisRange range;
    for (const bool is_start : {true, false}) {
      const std::string_view side = trim(is_start ? axis.substr(0, colon) : axis.substr(colon + 1));
      if (side.empty()) continue;
      const auto value = whole_number(side);
      if (!value) return fail_box(text, fmt::format("'{}' is not a whole number", side));
      (is_start ? range.start : range.stop) = *value;
    }
    if (range.start && range.stop && *range.start > *range.stop)
      return fail_box(text, fmt::format("axis {} starts after its stop", box.size()));
    box.push_back(range);
    if (comma == rest.size()) break;
    rest.remove_prefix(comma + 1);
  }
  return box;
}

}  // namespace cairn
