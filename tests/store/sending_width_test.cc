#include "store/sending_width.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/bytes.h"

namespace cairn {
namespace {

/// Bytes a second where so many packs are under way.
using Rate = std::function<double(size_t width)>;

class Sender {
 public:
  explicit Sender(size_t most) : width_(most) {}

  /// Seconds that so many packs take.
  double send(size_t packs, const Rate& rate) {
    const auto begun = now_;
    for (size_t i = 0; i < packs; ++i) {
      const double seconds = 8.0 * kMiB / rate(width_.width());
      now_ += std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
      width_.sent(8 * kMiB, now_);
      widest_ = std::max(widest_, width_.width());
    }
    return std::chrono::duration<double>(now_ - begun).count();
  }
  size_t width() const { return width_.width(); }
  size_t widest() const { return widest_; }

 private:
  SendingWidth width_;
  size_t widest_ = 0;
  SendingWidth::Time now_{std::chrono::seconds(1)};
};

double far(size_t width) { return 60e6 * static_cast<double>(width); }
double busy(size_t width) { return 300e6 / (1 + 0.05 * static_cast<double>(width)); }

TEST(SendingWidth, AFarPlaceIsSentAllAtOnce) {
  Sender sender(12);
  const double taken = sender.send(1000, far);
  EXPECT_LT(taken, 1.06 * 1000 * 8 * kMiB / far(12));
  EXPECT_LT(Sender(12).send(128, far), 1.1 * 128 * 8 * kMiB / far(12));
  EXPECT_LE(sender.widest(), 12U);
}

TEST(SendingWidth, ABusyPlaceIsSentLittleAtOnce) {
  Sender sender(12);
  sender.send(60, busy);
  EXPECT_EQ(sender.width(), 3U);
  EXPECT_LT(sender.send(1000, busy), 1.03 * 1000 * 8 * kMiB / busy(3));
}

TEST(SendingWidth, OneThatIsAsFastEitherWayIsLeftInPeace) {
  Sender sender(12);
  sender.send(60, [](size_t) { return 1e9; });
  EXPECT_EQ(sender.width(), 3U);
}

TEST(SendingWidth, WhatChangesIsFollowed) {
  Sender sender(12);
  sender.send(300, busy);
  sender.send(1000, far);
  EXPECT_EQ(sender.width(), 12U);
  sender.send(1000, busy);
  EXPECT_EQ(sender.width(), 3U);
}

TEST(SendingWidth, FewStayFew) {
  for (const size_t most : {1, 2, 3, 5}) {
    Sender sender(most);
    sender.send(1000, busy);
    EXPECT_EQ(sender.width(), most);
    EXPECT_EQ(sender.widest(), most);
  }
}

TEST(SendingWidth, TimeThatStandsStillTellsNothing) {
  SendingWidth width(12);
  for (int i = 0; i < 1000; ++i) width.sent(8 * kMiB, {});
  EXPECT_EQ(width.width(), 12U);
}

}  // namespace
}  // namespace cairn
