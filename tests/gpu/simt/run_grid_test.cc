#include "gpu/simt/run_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/gpu/simt/planted_kernels.h"

namespace cairn::gpu {
namespace {

constexpr unsigned kBlocks = 5;
constexpr uint64_t kSeeds = 20;

std::vector<unsigned> counted(size_t count) {
  std::vector<unsigned> items(count);
  std::iota(items.begin(), items.end(), 0u);
  return items;
}

/// Under how many of kSeeds orders the kernel made `wanted` of the numbers from 0.
uint64_t right_orders(void (*kernel)(unsigned*), const std::vector<unsigned>& wanted) {
  uint64_t right = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    simt::set_schedule(seed);
    auto items = counted(wanted.size());
    EXPECT_TRUE(launch({}, {kBlocks, kPlantedThreads}, "planted", kernel, items.data()));
    if (items == wanted) ++right;
  }
  return right;
}

std::vector<unsigned> reversed(unsigned run) {
  auto items = counted(kBlocks * kPlantedThreads);
  for (auto at = items.begin(); at != items.end(); at += run) std::reverse(at, at + run);
  return items;
}

TEST(Grid, RunsEveryThreadOnce) {
  std::set<std::pair<unsigned, unsigned>> seen;
  ASSERT_TRUE(simt::run_grid("all", 7, 96, [&] {
    EXPECT_EQ(simt::block_size().x, 96u);
    EXPECT_EQ(simt::grid_size().x, 7u);
    EXPECT_TRUE(seen.emplace(simt::block_index().x, simt::thread_index().x).second);
  }));
  EXPECT_EQ(seen.size(), 7u * 96);
}

TEST(Grid, OrdersDifferBySeed) {
  std::set<std::vector<unsigned>> orders;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    simt::set_schedule(seed);
    std::vector<unsigned> order;
    ASSERT_TRUE(simt::run_grid("order", 3, 32, [&] {
      order.push_back(simt::block_index().x * 32 + simt::thread_index().x);
    }));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 10u);
}

TEST(Grid, BarriersMakeOrderAndAMissingOneIsSeen) {
  EXPECT_EQ(right_orders(reverse_block<true>, reversed(kPlantedThreads)), kSeeds);
  EXPECT_EQ(right_orders(reverse_warp<true>, reversed(32)), kSeeds);
  EXPECT_EQ(right_orders(reverse_block<false>, reversed(kPlantedThreads)), 0u);
  EXPECT_EQ(right_orders(reverse_warp<false>, reversed(32)), 0u);
}

TEST(Grid, UpdatesThatAreNotAtomicAreLost) {
  std::vector<unsigned> one{kBlocks * kPlantedThreads};
  EXPECT_EQ(right_orders(count_threads<true>, one), kSeeds);
  EXPECT_EQ(right_orders(count_threads<false>, one), 0u);
}

TEST(Grid, LanesExchangeValues) {
  auto wanted = counted(kBlocks * kPlantedThreads);
  for (size_t i = 0; i < wanted.size(); i += 32) {
    const unsigned sum = std::accumulate(wanted.begin() + i, wanted.begin() + i + 32, 0u);
    std::fill_n(wanted.begin() + i, 32, sum);
  }
  EXPECT_EQ(right_orders(sum_by_exchange, wanted), kSeeds);
}

TEST(Grid, WaitingInVainIsAnError) {
  auto items = counted(kPlantedThreads);
  const auto early =
      launch({}, {1, kPlantedThreads}, "early", leave_before_the_barrier, items.data());
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message, testing::HasSubstr("waits in __syncthreads for thread 5"));
  const auto alone =
      launch({}, {1, kPlantedThreads}, "alone", exchange_without_a_lane, items.data());
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message,
              testing::HasSubstr("thread 32 waits in an exchange of lanes for thread 40, which"));
  // And what stood there does not stand in the way.
  EXPECT_EQ(right_orders(reverse_block<true>, reversed(kPlantedThreads)), kSeeds);
}

TEST(Grid, RefusesShapesThatNoDeviceHas) {
  const auto refused = [](unsigned blocks, unsigned threads) {
    const Status status = simt::run_grid("shape", blocks, threads, [] {});
    return !status && status.error().code == Code::kUsage;
  };
  EXPECT_TRUE(refused(0, 32));
  EXPECT_TRUE(refused(1, 0));
  EXPECT_TRUE(refused(1, 33));
  EXPECT_TRUE(refused(1, 1056));
  EXPECT_TRUE(refused(0x80000000, 32));
  EXPECT_FALSE(refused(1, 1024));
}

}  // namespace
}  // namespace cairn::gpu
