#include "base/clock.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Clock, TimesAreRfc3339) {
  EXPECT_EQ(format_rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_rfc3339(1'769'903'999'999'999'999), "2026-01-31T23:59:59Z");
  EXPECT_EQ(format_rfc3339(951'782'400'000'000'000), "2000-02-29T00:00:00Z");
}

TEST(Clock, NowIsAfterThisWasWritten) { EXPECT_GT(now_ns(), 1'700'000'000'000'000'000); }

TEST(Clock, StopwatchesRunForward) {
  const Stopwatch watch;
  const double first = watch.seconds();
  EXPECT_GE(first, 0.0);
  EXPECT_GE(watch.seconds(), first);
}

}  // namespace
}  // namespace cairn
