#include "base/clock.h"

#include <array>
#include <ctime>

namespace cairn {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string format_rfc3339(int64_t ns_since_1970) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t floor = ns_since_1970 >= 0 ? ns_since_1970 : ns_since_1970 - kSecond + 1;
  const auto seconds = static_cast<std::time_t>(floor / kSecond);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text.data(), length};
}

}  // namespace cairn
