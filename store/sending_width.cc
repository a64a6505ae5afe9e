#include "store/sending_width.h"

#include <algorithm>

namespace cairn {

/// Rates waver: a width is the worse one if it is slower by more than this.
static constexpr double kAsFast = 0.9;
static constexpr uint64_t kMeasuredLeast = 6;

void SendingWidth::sent(uint64_t bytes, Time now) {
  if (is_measured(bytes, now)) judge();
}

/// Of as many packs as go at once, but of some at least.
bool SendingWidth::is_measured(uint64_t bytes, Time now) {
  if (left_out_ > 0) {
    begun_ = now;
    --left_out_;
    return false;
  }
  ++packs_;
  bytes_ += bytes;
  const std::chrono::duration<double> took = now - begun_;
  if (packs_ < std::max<uint64_t>(width(), kMeasuredLeast) || took.count() <= 0) return false;
  measured_ = static_cast<double>(bytes_) / took.count();
  return true;
}

void SendingWidth::judge() {
  const size_t tried = trial_;
  if (tried == 0) {
    rate_ = measured_;
    begin(next());
    return;
  }
  const bool is_better =
      tried < width_ ? measured_ >= kAsFast * rate_ : kAsFast * measured_ > rate_;
  if (!is_better) {
    is_down_ = !is_down_;
    held_ = std::min(2 * held_, kHeldMost);
    hold();
    return;
  }
  width_ = tried;
  rate_ = measured_;
  held_ = kHeldAtFirst;
  begin(next());
}

/// The width to try; 0: there is none that way.
size_t SendingWidth::next() const {
  if (is_down_) return width_ / 2 >= kLeast ? width_ / 2 : 0;
  return width_ < most_ ? std::min(2 * width_, most_) : 0;
}

/// Until as many are under way as shall be, nothing is measured.
void SendingWidth::begin(size_t trial) {
  if (trial == 0) {
    is_down_ = !is_down_;
    hold();
    return;
  }
  left_out_ = std::max(width_, trial) / 2;
  packs_ = bytes_ = 0;
  trial_ = trial;
}

void SendingWidth::hold() {
  left_out_ = held_;
  packs_ = bytes_ = 0;
  trial_ = 0;
}

}  // namespace cairn
