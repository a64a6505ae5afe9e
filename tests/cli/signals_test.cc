#include "cli/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "base/clock.h"

namespace cairn {
namespace {

// In processes of their own: a stop cannot be taken back.
void stop_once(int number) {
  install_signal_handlers();
  const bool before = stop_flag().load();
  raise(number);
  std::_Exit(!before && stop_flag().load() && stop_signal() == number ? 0 : 1);
}

void stop_twice(int first, int second, double seconds_between = 0) {
  install_signal_handlers();
  raise(first);
  const Stopwatch watch;
  while (watch.seconds() < seconds_between) continue;
  raise(second);
  std::_Exit(0);
}

TEST(SignalsDeathTest, TheFirstStopsCleanlyTheSecondAtOnce) {
  EXPECT_EXIT(stop_once(SIGINT), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(stop_once(SIGTERM), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(stop_twice(SIGINT, SIGINT, 0.02), testing::ExitedWithCode(130), "");
  EXPECT_EXIT(stop_twice(SIGINT, SIGTERM), testing::ExitedWithCode(143), "");
}

TEST(SignalsDeathTest, AnEchoOfTheFirstIsNoSecond) {
  EXPECT_EXIT(stop_twice(SIGTERM, SIGTERM), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(stop_twice(SIGINT, SIGINT), testing::ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, AnIgnoredInterruptStaysIgnored) {
  EXPECT_EXIT(
      {
        signal(SIGINT, SIG_IGN);
        install_signal_handlers();
        raise(SIGINT);
        std::_Exit(stop_flag().load() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Signals, AStatusRequestIsTakenOnce) {
  install_signal_handlers();
  EXPECT_FALSE(take_status_request());
  raise(SIGUSR1);
  EXPECT_TRUE(take_status_request());
  EXPECT_FALSE(take_status_request());
}

}  // namespace
}  // namespace cairn
