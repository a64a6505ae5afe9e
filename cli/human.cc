#include "cli/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cairn {

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would print as "1024", so that the next unit begins a little early.
  while (value >= 1023.5 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string human_age(int64_t seconds) {
  const int64_t age = std::max<int64_t>(seconds, 0);
  if (age < 60) return fmt::format("{} s", age);
  if (age < 3600) return fmt::format("{} min", age / 60);
  if (age < 2 * 86'400) return fmt::format("{} h", age / 3600);
  if (age < 2 * 365 * 86'400) return fmt::format("{} d", age / 86'400);
  return fmt::format("{} y", age / (365 * 86'400));
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0)) return "-";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<uint64_t>(std::llround(std::min(seconds, 1e15)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string human_percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f} %", 100 * share) : "-";
}

std::string human_percent(uint64_t part, uint64_t whole) {
  return human_percent(static_cast<double>(part) / static_cast<double>(whole));
}

std::string human_cost(std::optional<double> cost) {
  return cost ? fmt::format("{:.2f}x", *cost) : "-";
}

std::string human_ratio(uint64_t value, uint64_t divisor) {
  if (divisor == 0) return "-";
  const double ratio = static_cast<double>(value) / static_cast<double>(divisor);
  return fmt::format("{:.{}f}x", ratio, ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0);
}

std::string printable(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      clean += fmt::format("\\x{:02x}", byte);
    } else {
      clean += c;
    }
  }
  return clean;
}

}  // namespace cairn
