#include "store/remote/retry.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/store/remote/test_clock.h"

namespace cairn::remote {
namespace {

using namespace std::chrono_literals;

HttpResult answer(int status, std::vector<HttpHeader> headers = {}) {
  HttpResponse response;
  response.status = status;
  response.headers = std::move(headers);
  return response;
}

HttpResult trouble(HttpTrouble kind) {
  return tl::unexpected<HttpFailure>({kind, "something", false, 0});
}

TEST(Retry, WhatIsWorthAnotherTry) {
  for (const int status : {200, 206, 301, 400, 401, 403, 404, 409, 412, 416, 501, 507}) {
    EXPECT_EQ(judge(answer(status), 0).worth, Worth::kNothing) << status;
  }
  for (const int status : {408, 500, 502, 504}) {
    EXPECT_EQ(judge(answer(status), 0).worth, Worth::kTry) << status;
  }
  for (const int status : {429, 503}) {
    EXPECT_EQ(judge(answer(status), 0).worth, Worth::kSlowDown) << status;
  }
  using enum HttpTrouble;
  for (const auto kind : {kResolve, kConnect, kTimeout, kLost, kShort, kMalformed}) {
    EXPECT_EQ(judge(trouble(kind), 0).worth, Worth::kTry) << static_cast<int>(kind);
  }
  for (const auto kind : {kTls, kRefused, kTooLong, kStopped, kLocal}) {
    EXPECT_EQ(judge(trouble(kind), 0).worth, Worth::kNothing) << static_cast<int>(kind);
  }
}

TEST(Retry, After) {
  EXPECT_EQ(parse_retry_after("7", 0), 7s);
  EXPECT_EQ(parse_retry_after("0", 0), 0s);
  const int64_t now = 784111770 * int64_t{1'000'000'000};
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 7s);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), 0s);
  for (const char* text : {"", "-1", "soon", "1.5", "99999999999999999999"}) {
    EXPECT_FALSE(parse_retry_after(text, now)) << text;
  }
  const auto verdict = judge(answer(503, {{"retry-after", "3", false}}), 0);
  EXPECT_EQ(verdict.after, Milliseconds(3s));
  EXPECT_FALSE(judge(answer(404, {{"retry-after", "3", false}}), 0).after);
}

TEST(Retry, PausesDoubleWithJitterAndEnd) {
  TestClock clock;
  clock.random_value = 0.999999;
  RetryLoop loop({}, clock);
  std::vector<Milliseconds> pauses;
  while (const auto pause = loop.next_pause({Worth::kTry, {}})) {
    pauses.push_back(*pause);
    clock.pass(*pause);
    ASSERT_LT(pauses.size(), 50U);
  }
  ASSERT_GE(pauses.size(), 6U);
  EXPECT_EQ(pauses[0], 200ms);
  EXPECT_EQ(pauses[1], 400ms);
  EXPECT_EQ(pauses[2], 800ms);
  for (const Milliseconds pause : pauses) EXPECT_LE(pause, 10s);
  EXPECT_GE(loop.spent(), 29s);
  EXPECT_LE(loop.spent(), 31s);
  clock.random_value = 0;
  EXPECT_EQ(RetryLoop({}, clock).next_pause({Worth::kTry, {}}), 0ms);
}

TEST(Retry, ProgressBeginsAnew) {
  TestClock clock;
  clock.random_value = 0.5;
  RetryLoop loop({}, clock);
  for (int i = 0; i < 10; ++i) {
    clock.pass(29s);
    loop.progressed();
    const auto pause = loop.next_pause({Worth::kTry, {}});
    ASSERT_TRUE(pause);
    EXPECT_LE(*pause, 200ms);
  }
  clock.pass(31s);
  EXPECT_FALSE(loop.next_pause({Worth::kTry, {}}));
  EXPECT_EQ(loop.tries(), 11);
}

TEST(Retry, OneTryThatTookAllTheTimeIsNotAll) {
  TestClock clock;
  RetryLoop loop({}, clock);
  clock.pass(60s);
  EXPECT_TRUE(loop.next_pause({Worth::kTry, {}}));
  EXPECT_FALSE(loop.next_pause({Worth::kTry, {}}));
}

TEST(Retry, TheServersWishIsFollowedOrNotWaitedFor) {
  TestClock clock;
  RetryLoop loop({}, clock);
  EXPECT_EQ(loop.next_pause({Worth::kSlowDown, 5s}), Milliseconds(5s));
  EXPECT_FALSE(loop.next_pause({Worth::kSlowDown, 3600s}));
  EXPECT_FALSE(loop.next_pause({Worth::kNothing, 1s}));
}

TEST(Retry, AStrangerIsTriedAFewTimes) {
  TestClock clock;
  RetryLoop loop({}, clock);
  EXPECT_TRUE(loop.next_pause({Worth::kTry, {}}, 3));
  EXPECT_TRUE(loop.next_pause({Worth::kTry, {}}, 3));
  EXPECT_FALSE(loop.next_pause({Worth::kTry, {}}, 3));
}

TEST(Throttle, HalvesOnceForThoseWhoWereInside) {
  Throttle throttle(16);
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(throttle.enter(nullptr));
  for (int i = 0; i < 16; ++i) throttle.leave(Worth::kSlowDown, false);
  EXPECT_EQ(throttle.limit(), 8U);
  ASSERT_TRUE(throttle.enter(nullptr));
  throttle.leave(Worth::kSlowDown, false);
  EXPECT_EQ(throttle.limit(), 4U);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(throttle.enter(nullptr));
    throttle.leave(Worth::kSlowDown, false);
  }
  EXPECT_EQ(throttle.limit(), 1U);
}

TEST(Throttle, GrowsByOneAsSuccessesCome) {
  Throttle throttle(4);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(throttle.enter(nullptr));
    throttle.leave(Worth::kSlowDown, false);
  }
  ASSERT_EQ(throttle.limit(), 1U);
  for (int i = 0; i < 1 + 2 + 3; ++i) {
    ASSERT_TRUE(throttle.enter(nullptr));
    throttle.leave(Worth::kNothing, true);
  }
  EXPECT_EQ(throttle.limit(), 4U);
}

TEST(Throttle, WaitsForAPlaceOrTheFlag) {
  Throttle throttle(1);
  ASSERT_TRUE(throttle.enter(nullptr));
  std::atomic<bool> stop{true};
  EXPECT_FALSE(throttle.enter(&stop));
  std::thread waiting([&] { EXPECT_TRUE(throttle.enter(nullptr)); });
  throttle.leave(Worth::kNothing, true);
  waiting.join();
}

TEST(MachineClock, WaitsAndStops) {
  RetryClock& clock = machine_clock();
  const auto begun = clock.now();
  EXPECT_TRUE(clock.wait(20ms, nullptr));
  EXPECT_GE(clock.now() - begun, 20ms);
  std::atomic<bool> stop{true};
  EXPECT_FALSE(clock.wait(1h, &stop));
  for (int i = 0; i < 100; ++i) {
    const double value = clock.random();
    EXPECT_TRUE(value >= 0 && value < 1);
  }
}

}  // namespace
}  // namespace cairn::remote
