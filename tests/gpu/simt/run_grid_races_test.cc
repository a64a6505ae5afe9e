// Under ThreadSanitizer a race is reported whatever the order was, also one that did no harm.
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "tests/gpu/simt/planted_kernels.h"

static std::atomic<int> reports{0};

// NOLINTBEGIN(bugprone-reserved-identifier): the sanitizer's names
extern "C" void __tsan_on_report(void*) { ++reports; }
extern "C" const char* __tsan_default_options() {
  return "exitcode=0:log_path=/dev/null:suppress_equal_addresses=0:suppress_equal_stacks=0";
}
// NOLINTEND(bugprone-reserved-identifier)

namespace cairn::gpu {
namespace {

int reports_of(void (*kernel)(unsigned*), unsigned blocks) {
  std::vector<unsigned> items(blocks * kPlantedThreads);
  const int before = reports;
  EXPECT_TRUE(launch({}, {blocks, kPlantedThreads}, "planted", kernel, items.data()));
  return reports - before;
}

TEST(Races, AMissingBarrierIsReported) {
  EXPECT_GT(reports_of(reverse_block<false>, 1), 0);
  EXPECT_GT(reports_of(reverse_warp<false>, 1), 0);
  EXPECT_EQ(reports_of(reverse_block<true>, 4), 0);
  EXPECT_EQ(reports_of(reverse_warp<true>, 4), 0);
}

TEST(Races, BetweenBlocksAreReported) {
  EXPECT_GT(reports_of(count_threads<false>, 4), 0);
  EXPECT_EQ(reports_of(count_threads<true>, 4), 0);
}

TEST(Races, AnExchangeIsNone) { EXPECT_EQ(reports_of(sum_by_exchange, 4), 0); }

}  // namespace
}  // namespace cairn::gpu
