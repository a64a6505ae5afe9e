#include "store/sending_width.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <random>

#include "base/bytes.h"

namespace cairn {
namespace {

/// Bytes a second of a place to which so many packs are sent at once, after so many seconds.
using Rate = std::function<double(size_t under_way, double seconds)>;

/// Sends packs to a place that shares its rate among those under way. Who sends waits for the
/// oldest, as SealingPacks does.
class Sending {
 public:
  /// `fixed`: always so many at once; 0: as many as SendingWidth says.
  explicit Sending(Rate rate, size_t fixed = 0, size_t most = 12)
      : rate_(std::move(rate)), fixed_(fixed), chosen_(most) {}

  /// How much the packs' sizes waver.
  Sending& noisy(unsigned seed) {
    random_.seed(seed);
    noise_ = 0.3;
    return *this;
  }

  /// Seconds until so many are sent.
  double send(size_t packs) {
    const double begun = now_;
    for (size_t added = 0; added < packs || !queue_.empty();) {
      while (!queue_.empty() && queue_.front() <= 0) queue_.pop_front();
      if (added < packs && queue_.size() < width()) {
        queue_.push_back(pack());
        ++added;
      } else if (!queue_.empty()) {
        send_one();
      }
    }
    return now_ - begun;
  }

  size_t width() const { return fixed_ != 0 ? fixed_ : chosen_.width(); }
  size_t widest() const { return widest_; }

 private:
  double pack() {
    const double wavers = std::uniform_real_distribution<double>(-noise_, noise_)(random_);
    return 8.0 * kMiB * (1 + wavers);
  }

  /// Time goes on until the next one is sent.
  void send_one() {
    double least = 0;
    size_t under_way = 0;
    for (const double left : queue_) {
      if (left <= 0) continue;
      ++under_way;
      least = least == 0 ? left : std::min(least, left);
    }
    widest_ = std::max(widest_, under_way);
    const auto shared = static_cast<double>(under_way);
    now_ += least * shared / rate_(under_way, now_);
    for (double& left : queue_) {
      if (left <= 0) continue;
      left -= least;
      if (left > 1) continue;
      left = 0;
      const auto at = std::chrono::duration<double>(1 + now_);
      chosen_.sent(8 * kMiB,
                   SendingWidth::Time(std::chrono::duration_cast<std::chrono::nanoseconds>(at)));
    }
  }

  const Rate rate_;
  const size_t fixed_;
  SendingWidth chosen_;
  std::mt19937 random_;
  double noise_ = 0, now_ = 0;
  std::deque<double> queue_;  // bytes of each that are left
  size_t widest_ = 0;
};

double far(size_t under_way, double) { return 60e6 * static_cast<double>(under_way); }
double busy(size_t under_way, double) {
  return 300e6 / (1 + 0.05 * static_cast<double>(under_way));
}
/// A little faster with each doubling.
double slowly(size_t under_way, double) {
  return 200e6 * std::pow(1.08, std::log2(static_cast<double>(under_way)));
}

/// Times what the best of all fixed widths takes.
double loss(const Rate& rate, size_t packs) {
  double best = 1e9;
  for (size_t width = SendingWidth::kLeast; width <= 12; ++width) {
    best = std::min(best, Sending(rate, width).send(packs));
  }
  return Sending(rate).send(packs) / best;
}

TEST(SendingWidth, LosesLittleWhateverThePlaceLikes) {
  for (const Rate& rate : {Rate(far), Rate(busy), Rate(slowly)}) {
    EXPECT_LT(loss(rate, 16), 1.35) << "all at once: what is not known cannot be gone by";
    EXPECT_LT(loss(rate, 128), 1.15);
    EXPECT_LT(loss(rate, 1000), 1.05);
    EXPECT_LT(loss(rate, 4000), 1.03);
  }
}

TEST(SendingWidth, FindsItsWayThroughNoise) {
  double far_seconds = 0, far_best = 0, busy_seconds = 0, busy_best = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    far_seconds += Sending(far).noisy(seed).send(1000);
    far_best += Sending(far, 12).noisy(seed).send(1000);
    busy_seconds += Sending(busy).noisy(seed).send(1000);
    busy_best += Sending(busy, 3).noisy(seed).send(1000);
  }
  EXPECT_LT(far_seconds, 1.1 * far_best);
  EXPECT_LT(busy_seconds, 1.15 * busy_best);
}

TEST(SendingWidth, FewAreEnoughWhereManyAreNotFaster) {
  Sending sending([](size_t, double) { return 1e9; });
  sending.send(100);
  EXPECT_EQ(sending.width(), 3U);
}

TEST(SendingWidth, WhatChangesIsFollowed) {
  bool is_busy = true;
  Sending sending([&](size_t n, double t) { return is_busy ? busy(n, t) : far(n, t); });
  sending.send(300);
  EXPECT_LE(sending.width(), 6U);
  is_busy = false;
  sending.send(1000);
  EXPECT_EQ(sending.width(), 12U);
  is_busy = true;
  sending.send(1000);
  EXPECT_LE(sending.width(), 6U);
}

TEST(SendingWidth, FewStayFew) {
  for (const size_t most : {1, 2, 3, 5}) {
    Sending sending(busy, 0, most);
    sending.send(1000);
    EXPECT_EQ(sending.width(), most);
    EXPECT_EQ(sending.widest(), most);
  }
}

TEST(SendingWidth, TimeThatStandsStillTellsNothing) {
  SendingWidth width(12);
  for (int i = 0; i < 1000; ++i) width.sent(8 * kMiB, {});
  EXPECT_EQ(width.width(), 12U);
}

}  // namespace
}  // namespace cairn
