#include "gpu/stream.h"

#include <thread>

#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

TEST(DeviceStream, CopiesThroughPinnedMemoryInOrder) {
  const Bytes content = random_content(10'000, 1);
  PinnedMemory up = must(PinnedMemory::allocate(10'000));
  PinnedMemory down = must(PinnedMemory::allocate(10'000));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(up.data()) % 4096, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(down.data()) % 4096, 0u);
  EXPECT_EQ(up.span().size(), 10'000u);
  std::copy(content.begin(), content.end(), up.data());
  const OnDevice memory(10'000);
  const OwnStream stream = must(OwnStream::make());
  Event done = must(Event::make());
  must(copy_up(stream.stream(), memory.data(), up.span()));
  must(copy_down(stream.stream(), down.span(), memory.data()));
  must(done.record(stream.stream()));
  must(done.wait());
  EXPECT_TRUE(must(done.is_done()));
  EXPECT_EQ(Bytes(down.data(), down.data() + down.size()), content);
}

TEST(DeviceStream, HostMemoryThatIsNotPinnedIsTheCallersAgainAtOnce) {
  in_any_order([] {
    const Bytes content = random_content(10'000, 2);
    Bytes host = content;
    const OnDevice memory(10'000);
    const OwnStream stream = must(OwnStream::make());
    must(copy_up(stream.stream(), memory.data(), host));
    std::fill(host.begin(), host.end(), 0);
    must(copy_down(stream.stream(), host, memory.data()));
    must(synchronize(stream.stream()));
    EXPECT_EQ(host, content);
  });
}

TEST(DeviceStream, AStreamIsDoneWhenAllOfItIs) {
  in_any_order([] {
    const Bytes content = random_content(10'000, 4);
    PinnedMemory down = must(PinnedMemory::allocate(10'000));
    const OnDevice memory{ByteSpan(content)};
    must(synchronize({}));
    const OwnStream stream = must(OwnStream::make());
    EXPECT_TRUE(must(is_done(stream.stream())));
    must(copy_down(stream.stream(), down.span(), memory.data()));
    while (!must(is_done(stream.stream()))) {
    }
    EXPECT_EQ(Bytes(down.data(), down.data() + down.size()), content);
  });
}

TEST(DeviceStream, EventsMakeOrderBetweenStreams) {
  in_any_order([] {
    constexpr uint64_t kBytes = 1 << 20;
    const Bytes content = random_content(kBytes, 3);
    PinnedMemory pinned = must(PinnedMemory::allocate(kBytes));
    std::copy(content.begin(), content.end(), pinned.data());
    const OnDevice first(kBytes), second(kBytes);
    must(synchronize({}));
    const OwnStream a = must(OwnStream::make()), b = must(OwnStream::make());
    Event event = must(Event::make());
    for (int round = 0; round < 3; ++round) {  // an event may be recorded again
      must(copy_up(a.stream(), first.data(), pinned.span()));
      must(event.record(a.stream()));
      must(wait_for(b.stream(), event));
      must(copy_within(b.stream(), second.data(), first.data(), kBytes));
      must(event.record(b.stream()));
      must(wait_for(a.stream(), event));
      must(fill_zeros(a.stream(), first.data(), kBytes));
    }
    must(synchronize(a.stream()));
    EXPECT_EQ(first.content(), Bytes(kBytes));
    EXPECT_EQ(second.content(), content);
  });
}

TEST(DeviceStream, ThreadsHaveStreamsOfTheirOwn) {
  std::vector<std::thread> threads;
  for (uint64_t number = 0; number < 4; ++number) {
    threads.emplace_back([number] {
      constexpr uint64_t kBytes = 64 << 10;
      const OwnStream stream = must(OwnStream::make());
      Event done = must(Event::make());
      const OnDevice memory(kBytes);
      const PinnedMemory pinned = must(PinnedMemory::allocate(kBytes));
      for (uint64_t round = 0; round < 20; ++round) {
        const Bytes content = random_content(kBytes, 20 * number + round);
        std::copy(content.begin(), content.end(), pinned.data());
        must(copy_up(stream.stream(), memory.data(), pinned.span()));
        must(copy_down(stream.stream(), pinned.span().subspan(8), memory.data()));
        must(done.record(stream.stream()));
        must(done.wait());
        ASSERT_TRUE(std::equal(content.begin(), content.end() - 8, pinned.data() + 8));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// One thread enqueues, another waits and reads.
TEST(DeviceStream, AnotherThreadMayWait) {
  in_any_order([] {
    const Bytes content = random_content(10'000, 4);
    const OnDevice memory(content);
    const PinnedMemory pinned = must(PinnedMemory::allocate(10'000));
    const OwnStream stream = must(OwnStream::make());
    Event done = must(Event::make());
    must(copy_down(stream.stream(), pinned.span(), memory.data()));
    must(done.record(stream.stream()));
    std::thread([&] {
      must(done.wait());
      EXPECT_TRUE(std::equal(content.begin(), content.end(), pinned.data()));
    }).join();
  });
}

TEST(DeviceStream, AnEventThatWasNeverRecordedIsDone) {
  const OwnStream stream = must(OwnStream::make());
  const Event event = must(Event::make());
  must(event.wait());
  EXPECT_TRUE(must(event.is_done()));
  must(wait_for(stream.stream(), event));
  must(synchronize(stream.stream()));
  const Event none;
  must(none.wait());
  EXPECT_TRUE(must(none.is_done()));
  must(wait_for(stream.stream(), none));
}

TEST(DeviceStream, ObjectsMove) {
  OwnStream first = must(OwnStream::make());
  void* const handle = first.stream().handle;
  ASSERT_NE(handle, nullptr);
  const OwnStream second = std::move(first);
  EXPECT_EQ(second.stream().handle, handle);
  Event event = must(Event::make());
  void* const point = event.handle();
  ASSERT_NE(point, nullptr);
  Event moved = std::move(event);
  EXPECT_EQ(moved.handle(), point);
  PinnedMemory memory = must(PinnedMemory::allocate(1));
  uint8_t* const data = memory.data();
  const PinnedMemory other = std::move(memory);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(must(PinnedMemory::allocate(0)).data(), nullptr);
}

TEST(DeviceStream, PinnedMemoryThatIsNotThereIsToldOnce) {
  const auto memory = PinnedMemory::allocate(uint64_t{1} << 50);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kNoSpace);
  EXPECT_TRUE(take_error());
}

}  // namespace
}  // namespace cairn::gpu
