#include "gpu/timer.h"

#include "base/clock.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

TEST(Timer, TellsWhatWorkTook) {
  const OnDevice from(random_content(uint64_t{8} << 20, 1)), to(uint64_t{8} << 20);
  must(synchronize({}));
  Timer timer = must(Timer::make());
  const Stopwatch outside;
  must(timer.begin({}));
  must(copy_within({}, to.data(), from.data(), uint64_t{8} << 20));
  must(timer.end({}));
  const double copied = must(timer.seconds());
  EXPECT_GT(copied, 0);
  EXPECT_LE(copied, outside.seconds());
}

TEST(Timer, IsUsedAgainAndMoved) {
  const OnDevice from(random_content(uint64_t{8} << 20, 2)), to(uint64_t{8} << 20);
  Timer first = must(Timer::make());
  must(first.begin({}));
  must(copy_within({}, to.data(), from.data(), uint64_t{8} << 20));
  must(first.end({}));
  const double copied = must(first.seconds());
  Timer timer = std::move(first);
  EXPECT_EQ(must(timer.seconds()), copied);
  must(timer.begin({}));
  must(timer.end({}));
  EXPECT_GE(must(timer.seconds()), 0);
}

}  // namespace
}  // namespace cairn::gpu
