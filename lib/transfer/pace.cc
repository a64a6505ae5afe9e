#include "lib/transfer/pace.h"

namespace cairn {

void PaceRule::done(uint64_t bytes, double now) {
  if (begun_ < 0) {
    begun_ = now;
    return;
  }
  ++ended_;
  bytes_ += bytes;
  const double seconds = now - begun_;
  // Those that began before the last change have ended then.
  if (ended_ < 2 * limit_ || seconds < kSecondsOfLook) return;
  look(static_cast<double>(bytes_) / seconds, now);
  ended_ = 0;
  bytes_ = 0;
  begun_ = now;
}

void PaceRule::look(double rate, double now) {
  const bool is_trial = rate_before_ > 0;
  if (is_trial && rate < rate_before_ * kGain) {
    limit_ = std::max(1u, limit_ / 2);
    rate_before_ = 0;
    next_try_ = now + kSecondsBetween;
    return;
  }
  if (limit_ == most_ || now < next_try_) return;
  rate_before_ = rate;
  limit_ = std::min(most_, limit_ * 2);
}

void Pace::enter() {
  std::unique_lock lock(mutex_);
  free_.wait(lock, [&] { return inside_ < rule_.limit(); });
  ++inside_;
}

void Pace::leave(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  --inside_;
  rule_.done(bytes, watch_.seconds());
  free_.notify_all();
}

}  // namespace cairn
