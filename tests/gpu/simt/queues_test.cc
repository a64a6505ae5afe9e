#include "gpu/simt/queues.h"

#include <gmock/gmock.h>

#include "gpu/simt/faults.h"
#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/simt/planted_kernels.h"

namespace cairn::gpu {
namespace {

constexpr uint64_t kSeeds = 30;
constexpr uint64_t kBytes = 4096;

class Queues : public testing::Test {
 protected:
  void TearDown() override { simt::set_schedule(1); }

  /// How many orders of kSeeds make this true.
  static uint64_t orders(const std::function<bool()>& test) {
    uint64_t count = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      simt::set_schedule(seed);
      if (test()) ++count;
    }
    return count;
  }
};

bool holds(MutableBytes memory, uint8_t byte) {
  return std::all_of(memory.begin(), memory.end(), [=](uint8_t each) { return each == byte; });
}

TEST_F(Queues, ReadingWithoutAWaitIsSeenUnderSomeOrders) {
  const OnDevice memory(Bytes(kBytes, 7));
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  const auto reads = [&](bool waits) {
    return orders([&] {
      const OwnStream stream = must(OwnStream::make());
      Event done = must(Event::make());
      std::fill_n(host.data(), kBytes, 1);
      must(copy_down(stream.stream(), host.span(), memory.data()));
      must(done.record(stream.stream()));
      if (waits) must(done.wait());
      const bool is_there = holds(host.span(), 7);
      must(synchronize(stream.stream()));
      return is_there;
    });
  };
  EXPECT_EQ(reads(true), kSeeds);
  const uint64_t lucky = reads(false);
  EXPECT_GT(lucky, 0u);
  EXPECT_LT(lucky, kSeeds - kSeeds / 3);
}

TEST_F(Queues, WritingBeforeACopyUpIsDoneIsSeenUnderSomeOrders) {
  const OnDevice memory(kBytes);
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  const uint64_t right = orders([&] {
    const OwnStream stream = must(OwnStream::make());
    std::fill_n(host.data(), kBytes, 1);
    must(copy_up(stream.stream(), memory.data(), host.span()));
    std::fill_n(host.data(), kBytes, 2);  // too early
    must(synchronize(stream.stream()));
    return memory.content() == Bytes(kBytes, 1);
  });
  EXPECT_GT(right, 0u);
  EXPECT_LT(right, kSeeds - kSeeds / 3);
}

TEST_F(Queues, EventsMakeOrderBetweenKernelsAndAMissingOneIsSeen) {
  const OnDevice memory(sizeof(unsigned) * kPlantedThreads), out(memory.span().bytes);
  const auto rights = [&](bool waits) {
    return orders([&] {
      const OwnStream a = must(OwnStream::make()), b = must(OwnStream::make());
      Event made = must(Event::make());
      must(fill_zeros({}, memory.data(), memory.span().bytes));
      must(launch(a.stream(), {2, kPlantedThreads}, "count", count_threads<true>,
                  aligned<unsigned>(memory.data())));
      must(made.record(a.stream()));
      if (waits) must(wait_for(b.stream(), made));
      must(copy_within(b.stream(), out.data(), memory.data(), memory.span().bytes));
      must(synchronize(b.stream()));
      const bool is_right = load_le<unsigned>(out.content()) == 2 * kPlantedThreads;
      must(synchronize(a.stream()));
      return is_right;
    });
  };
  EXPECT_EQ(rights(true), kSeeds);
  const uint64_t lucky = rights(false);
  EXPECT_GT(lucky, 0u);
  EXPECT_LT(lucky, kSeeds - kSeeds / 3);
}

TEST_F(Queues, OneSeedOfThreeRunsAllAtOnceAndOneNothing) {
  const OnDevice memory(Bytes(kBytes, 7));
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  const OwnStream stream = must(OwnStream::make());
  for (const uint64_t seed : {2, 3, 5, 6}) {
    simt::set_queue_schedule(seed);
    std::fill_n(host.data(), kBytes, 1);
    must(copy_down(stream.stream(), host.span(), memory.data()));
    EXPECT_TRUE(holds(host.span(), seed % 3 == 0 ? 7 : 1));
    must(synchronize(stream.stream()));
    EXPECT_TRUE(holds(host.span(), 7));
  }
}

TEST_F(Queues, AskingWhetherAnEventIsDoneEndsSomeTime) {
  simt::set_queue_schedule(2);
  const OnDevice memory(kBytes);
  const OwnStream a = must(OwnStream::make()), b = must(OwnStream::make());
  Event first = must(Event::make()), last = must(Event::make());
  must(fill_zeros(a.stream(), memory.data(), kBytes));
  must(first.record(a.stream()));
  must(wait_for(b.stream(), first));
  must(last.record(b.stream()));
  EXPECT_FALSE(must(last.is_done()));
  int asked = 1;
  while (!must(last.is_done())) ASSERT_LT(++asked, 10);
}

TEST_F(Queues, AnEventIsThePointThatItWasWhenTheWaitWasEnqueued) {
  simt::set_queue_schedule(2);
  const OnDevice memory(Bytes(kBytes, 7));
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  const OwnStream a = must(OwnStream::make()), b = must(OwnStream::make());
  Event event = must(Event::make());
  must(event.record(a.stream()));
  must(wait_for(b.stream(), event));
  std::fill_n(host.data(), kBytes, 1);
  must(copy_down(a.stream(), host.span(), memory.data()));
  must(event.record(a.stream()));
  must(synchronize(b.stream()));
  EXPECT_TRUE(holds(host.span(), 1));
  must(event.wait());
  EXPECT_TRUE(holds(host.span(), 7));
}

TEST_F(Queues, WaitingInVainIsAnErrorThatNamesWhatIsInTheWay) {
  const OnDevice memory(kBytes);
  const OwnStream a = must(OwnStream::make()), b = must(OwnStream::make());
  simt::hold_stream(a.stream());
  Event event = must(Event::make());
  must(fill_zeros(a.stream(), memory.data(), 123));
  must(event.record(a.stream()));
  must(wait_for(b.stream(), event));
  must(fill_zeros(b.stream(), memory.data(), kBytes));
  const Status waited = synchronize(b.stream());
  ASSERT_FALSE(waited);
  EXPECT_THAT(waited.error().message, testing::HasSubstr("waits in vain for stream"));
  EXPECT_THAT(waited.error().message, testing::HasSubstr("held before clearing 123 bytes"));
  EXPECT_FALSE(event.wait());
  EXPECT_FALSE(must(event.is_done()));
  simt::release_stream(a.stream());
  must(synchronize(b.stream()));
  EXPECT_TRUE(must(event.is_done()));
}

TEST_F(Queues, WhatAStreamHasIsDoneWhenItIsGone) {
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  EXPECT_EQ(orders([&] {
              const OnDevice memory(Bytes(kBytes, 7));
              Event event = must(Event::make());
              std::fill_n(host.data(), kBytes, 1);
              {
                const OwnStream stream = must(OwnStream::make());
                must(copy_down(stream.stream(), host.span(), memory.data()));
                must(event.record(stream.stream()));
              }
              must(event.wait());
              return holds(host.span(), 7);
            }),
            kSeeds);
}

TEST_F(Queues, MemoryIsGivenBackAfterItsLastUse) {
  const PinnedMemory host = must(PinnedMemory::allocate(kBytes));
  EXPECT_EQ(orders([&] {
              const OwnStream stream = must(OwnStream::make());
              std::fill_n(host.data(), kBytes, 1);
              {
                const OnDevice memory(Bytes(kBytes, 7));
                must(copy_down(stream.stream(), host.span(), memory.data()));
              }
              return holds(host.span(), 7);
            }),
            kSeeds);
}

TEST_F(Queues, AKernelThatFailsIsToldByWhoeverWaits) {
  simt::set_queue_schedule(2);
  const OnDevice memory(sizeof(unsigned) * kPlantedThreads);
  const OwnStream stream = must(OwnStream::make()), other = must(OwnStream::make());
  must(launch(stream.stream(), {1, kPlantedThreads}, "early", leave_before_the_barrier,
              aligned<unsigned>(memory.data())));
  const Status waited = synchronize(stream.stream());
  ASSERT_FALSE(waited);
  EXPECT_THAT(waited.error().message, testing::HasSubstr("waits in __syncthreads"));
  EXPECT_FALSE(synchronize(other.stream()));
  simt::mend_device();
  must(synchronize(stream.stream()));
}

TEST_F(Queues, ShapesAreRefusedAtOnce) {
  simt::set_queue_schedule(2);
  const OwnStream stream = must(OwnStream::make());
  const Status status = launch(stream.stream(), {1, 33}, "shape", leave_before_the_barrier,
                               static_cast<unsigned*>(nullptr));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kUsage);
  must(synchronize(stream.stream()));
}

TEST_F(Queues, LaunchesAreCountedUntilTheyAreAskedFor) {
  const OwnStream stream = must(OwnStream::make());
  const OnDevice memory(sizeof(unsigned) * kPlantedThreads);
  must(fill_zeros({}, memory.data(), memory.span().bytes));
  simt::take_launches();
  for (const char* name : {"one", "two", "two"}) {
    must(launch(stream.stream(), {1, kPlantedThreads}, name, count_threads<true>,
                aligned<unsigned>(memory.data())));
  }
  EXPECT_EQ(simt::take_launches(), (std::map<std::string, uint64_t>{{"one", 1}, {"two", 2}}));
  EXPECT_TRUE(simt::take_launches().empty());
  must(synchronize(stream.stream()));
}

}  // namespace
}  // namespace cairn::gpu
