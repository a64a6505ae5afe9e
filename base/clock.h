// Wall clock for people, monotonic clock for durations.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cairn {

/// Nanoseconds since 1970 UTC.
int64_t now_ns();
/// "2026-01-31T23:59:59Z".
std::string format_rfc3339(int64_t ns_since_1970);

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace cairn
