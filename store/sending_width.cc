#include "store/sending_width.h"

#include <algorithm>

namespace cairn {

static constexpr uint64_t kCountedLeast = 6;

void SendingWidth::sent(uint64_t bytes, Time now) {
  if (uncounted_ > 0) {
    --uncounted_;
    begun_ = now;
    return;
  }
  ++packs_;
  bytes_ += bytes;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const bool is_enough = packs_ >= std::max<uint64_t>(width(), kCountedLeast);
  if (is_enough && seconds > 0) judge(static_cast<double>(bytes_) / seconds);
}

void SendingWidth::judge(double rate) {
  if (trial_ == 0) {
    rate_ = rate;
    return try_another();
  }
  const bool is_better = trial_ < width_ ? rate >= kAsFast * rate_ : kAsFast * rate > rate_;
  if (!is_better) {
    is_down_ = !is_down_;
    held_ = std::min(2 * held_, kHeldMost);
    return count_after(held_, 0);
  }
  width_ = trial_;
  rate_ = rate;
  held_ = kHeldAtFirst;
  try_another();
}

void SendingWidth::try_another() {
  if (next() == 0) is_down_ = !is_down_;
  const size_t trial = next();
  if (trial == 0) return count_after(held_, 0);
  // Half of the wider one: by then as many are under way as shall be.
  count_after(std::max(width_, trial) / 2, trial);
}

void SendingWidth::count_after(uint64_t packs, size_t trial) {
  uncounted_ = packs;
  packs_ = bytes_ = 0;
  trial_ = trial;
}

/// The width to try; 0: there is none that way.
size_t SendingWidth::next() const {
  if (is_down_) return width_ / 2 >= kLeast ? width_ / 2 : 0;
  return width_ < most_ ? std::min(2 * width_, most_) : 0;
}

}  // namespace cairn
