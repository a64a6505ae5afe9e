#include "store/remote/rate_limit.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"

namespace cairn::remote {

static constexpr uint64_t kStepLeast = 4 * kKiB, kStepMost = 512 * kKiB;
static constexpr uint64_t kConnectionBytesPerS = 2 * kMiB;
static constexpr double kBurstMs = 125;  // what was not used for longer is lost

RateLimit::RateLimit(uint64_t bytes_per_s, RetryClock& clock)
    : bytes_per_ms_(static_cast<double>(bytes_per_s) / 1000),
      clock_(clock),
      balance_(bytes_per_ms_ * kBurstMs),
      filled_at_(clock.now()) {}

size_t RateLimit::step_bytes() const {
  return std::clamp(static_cast<uint64_t>(bytes_per_ms_ * kBurstMs), kStepLeast, kStepMost);
}

size_t RateLimit::connections_most() const {
  return 1 + static_cast<size_t>(bytes_per_ms_ * 1000) / kConnectionBytesPerS;
}

void RateLimit::refill() {
  const Milliseconds now = clock_.now();
  balance_ += bytes_per_ms_ * static_cast<double>((now - filled_at_).count());
  balance_ = std::min(balance_, bytes_per_ms_ * kBurstMs);
  filled_at_ = now;
}

bool RateLimit::take(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  refill();
  if (balance_ <= 0) return false;
  balance_ -= static_cast<double>(bytes);
  return true;
}

Milliseconds RateLimit::wait() {
  const std::lock_guard lock(mutex_);
  refill();
  if (balance_ > 0) return Milliseconds(0);
  return Milliseconds(1 + static_cast<int64_t>(std::floor(-balance_ / bytes_per_ms_)));
}

}  // namespace cairn::remote
