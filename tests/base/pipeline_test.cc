#include "base/pipeline.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/beside.h"
#include "base/stop_scope.h"

namespace cairn {
namespace {

TEST(ParallelFor, CallsEveryIndexOnce) {
  for (const unsigned threads : {0u, 1u, 2u, 7u}) {
    for (const uint64_t count : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      ASSERT_TRUE(parallel_for(count, threads, [&](uint64_t index) -> Status {
        ++calls[index];
        return {};
      }));
      for (const auto& each : calls) EXPECT_EQ(each, 1);
    }
  }
}

TEST(ParallelFor, TheFirstErrorStopsTheRest) {
  std::atomic<uint64_t> begun{0};
  const Status done = parallel_for(1000000, 2, [&](uint64_t index) -> Status {
    ++begun;
    if (index >= 10) return fail(Code::kNoSpace, "full");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kNoSpace);
  EXPECT_LT(begun, 1000u);
}

TEST(ParallelFor, MemoryThatRunsOutIsAnError) {
  const Status done = parallel_for(4, 2, [](uint64_t) -> Status { throw std::bad_alloc(); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailed);
}

TEST(ParallelFor, SoAreThreadsThatCannotBeHad) {
  const Status done = parallel_for(4, 2, [](uint64_t) -> Status {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailed);
}

TEST(StopScope, ThreadsThatAreStartedWorkForTheSameCall) {
  const std::atomic<bool> stop{false};
  std::atomic<int> others{0};
  const auto look = [&](const std::atomic<bool>* wanted) {
    others += StopScope::current() == wanted ? 0 : 1;
  };
  {
    const StopScope scope(&stop);
    ASSERT_TRUE(parallel_for(64, 4, [&](uint64_t) -> Status {
      look(&stop);
      return {};
    }));
    run_beside([&] { look(&stop); }).get();
    const StopScope inner(nullptr);
    look(nullptr);
    run_beside([&] { look(nullptr); }).get();
  }
  look(nullptr);
  EXPECT_EQ(others, 0);
}

TEST(BoundedQueue, KeepsOrderAndEndsWhenClosed) {
  BoundedQueue<int> queue(2);
  std::thread producer([&] {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(queue.push(i));
    queue.close();
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_FALSE(queue.push(1)) << "closed";
  producer.join();
}

TEST(BoundedQueue, ProducersNeverRunAhead) {
  BoundedQueue<int> queue(3);
  std::atomic<int> pushed{0};
  std::thread producer([&] {
    while (queue.push(0)) ++pushed;
  });
  for (int taken = 1; taken <= 200; ++taken) {
    queue.pop();
    EXPECT_LE(pushed, taken + 3);
  }
  queue.close();
  producer.join();
}

TEST(DefaultThreads, AtLeastOne) { EXPECT_GE(default_threads(), 1u); }

}  // namespace
}  // namespace cairn
