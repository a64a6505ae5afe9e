#include "store/remote/rate_limit.h"

#include <gtest/gtest.h>

#include "tests/store/remote/test_clock.h"

namespace cairn::remote {
namespace {

using namespace std::chrono_literals;

/// What passes in so much time, where as much as may pass is taken in pieces.
uint64_t passed_in(RateLimit& limit, TestClock& clock, Milliseconds time, uint64_t piece) {
  const Milliseconds end = clock.now() + time;
  uint64_t passed = 0;
  while (clock.now() < end) {
    if (limit.take(piece)) {
      passed += piece;
    } else {
      clock.pass(limit.wait());
    }
  }
  return passed;
}

TEST(RateLimit, PassesWhatItSaysAndNoMore) {
  for (const uint64_t rate : {4 * kKiB, kMiB, kGiB}) {
    for (const uint64_t piece : {rate / 50, rate / 8, 2 * rate}) {
      TestClock clock;
      RateLimit limit(rate, clock);
      const uint64_t passed = passed_in(limit, clock, 1000s, piece);
      const auto expected = static_cast<double>(rate * 1000);
      // Beyond the mean: the burst at the begin, and one piece.
      EXPECT_LE(static_cast<double>(passed), expected * 1.001 + static_cast<double>(piece));
      EXPECT_GE(static_cast<double>(passed), expected * 0.97 - static_cast<double>(piece));
    }
  }
}

TEST(RateLimit, WhatWasNotUsedIsLost) {
  TestClock clock;
  RateLimit limit(kMiB, clock);
  clock.pass(3600s);
  EXPECT_LE(passed_in(limit, clock, 1ms, kKiB), kMiB / 4);
}

TEST(RateLimit, SaysHowLongToWait) {
  TestClock clock;
  RateLimit limit(1000 * kKiB, clock);
  EXPECT_EQ(limit.wait(), 0ms);
  EXPECT_TRUE(limit.take(1125 * kKiB));  // an eighth of a second's is there
  EXPECT_FALSE(limit.take(1));
  const Milliseconds wait = limit.wait();
  EXPECT_GE(wait, 1000ms);
  EXPECT_LE(wait, 1002ms);
  clock.pass(wait);
  EXPECT_TRUE(limit.take(1));
}

TEST(RateLimit, StepsAndConnectionsFollowTheRate) {
  TestClock clock;
  EXPECT_EQ(RateLimit(kKiB, clock).step_bytes(), 4 * kKiB);
  EXPECT_EQ(RateLimit(kGiB, clock).step_bytes(), 512 * kKiB);
  EXPECT_EQ(RateLimit(kMiB, clock).connections_most(), 1U);
  EXPECT_GE(RateLimit(kGiB, clock).connections_most(), 32U);
}

TEST(RateQueue, TheOneThatWaitedLongestGoesOn) {
  TestClock clock;
  RateQueue<int> queue(std::make_shared<RateLimit>(kMiB, clock));
  EXPECT_EQ(queue.wait(), std::nullopt);
  EXPECT_TRUE(queue.pass(1, 2 * kMiB));
  for (const int transfer : {2, 3, 4}) EXPECT_FALSE(queue.pass(transfer, 10));
  EXPECT_EQ(queue.next(), std::nullopt);
  queue.forget(3);
  clock.pass(*queue.wait());
  EXPECT_EQ(queue.next(), 2);
  EXPECT_TRUE(queue.pass(2, 10'000));
  EXPECT_EQ(queue.next(), std::nullopt);
  clock.pass(*queue.wait());
  EXPECT_EQ(queue.next(), 4);
  EXPECT_EQ(queue.wait(), std::nullopt);
}

TEST(RateQueue, WithoutALimitEverythingPasses) {
  RateQueue<int> queue(nullptr);
  EXPECT_TRUE(queue.pass(1, UINT64_MAX));
  EXPECT_EQ(queue.next(), std::nullopt);
}

}  // namespace
}  // namespace cairn::remote
