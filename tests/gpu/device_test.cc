#include "gpu/device.h"

#include <thread>

#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

TEST(Device, HasFacts) {
  const DeviceFacts facts = must(device_facts());
  EXPECT_FALSE(facts.name.empty());
  EXPECT_GT(facts.multiprocessors, 0u);
  EXPECT_GE(facts.major, 8);
}

TEST(Device, CopiesUpWithinAndDown) {
  const Bytes content = random_content(10'000, 1);
  const OnDevice first(content), second(Bytes(10'000));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % 256, 0u);
  must(copy_within({}, second.data() + 100, first.data(), 9'000));
  must(fill_zeros({}, second.data() + 200, 50));
  Bytes wanted(10'000);
  std::copy_n(content.begin(), 9'000, wanted.begin() + 100);
  std::fill_n(wanted.begin() + 200, 50, 0);
  EXPECT_EQ(second.content(), wanted);
}

TEST(Device, OutOfMemoryIsToldOnce) {
  const auto memory = DeviceMemory::allocate(uint64_t{1} << 50);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kNoSpace);
  EXPECT_TRUE(take_error());
  EXPECT_EQ(OnDevice(random_content(100, 2)).content(), random_content(100, 2));
}

TEST(Device, MemoryMoves) {
  DeviceMemory first = must(DeviceMemory::allocate(100));
  uint8_t* const data = first.data();
  DeviceMemory second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(first.data(), nullptr);
  second = must(DeviceMemory::allocate(0));
  EXPECT_EQ(second.data(), nullptr);
}

TEST(Device, ScopesNest) {
  const unsigned count = must(device_count()), before = must(current_device());
  ASSERT_LT(before, count);
  {
    DeviceScope outer = must(DeviceScope::enter(count - 1));
    EXPECT_EQ(must(current_device()), count - 1);
    const DeviceScope moved = std::move(outer);
    {
      const DeviceScope inner = must(DeviceScope::enter(0));
      EXPECT_EQ(must(current_device()), 0u);
    }
    EXPECT_EQ(must(current_device()), count - 1);
  }
  EXPECT_EQ(must(current_device()), before);
}

TEST(Device, EachThreadHasACurrentOne) {
  const unsigned before = must(current_device()), last = must(device_count()) - 1;
  std::thread([&] {
    must(use_device(last));
    EXPECT_EQ(must(current_device()), last);
  }).join();
  EXPECT_EQ(must(current_device()), before);
}

TEST(Device, OneThatIsNotThereIsToldOnce) {
  const unsigned before = must(current_device());
  EXPECT_FALSE(DeviceScope::enter(must(device_count())));
  EXPECT_FALSE(use_device(must(device_count())));
  EXPECT_EQ(must(current_device()), before);
  EXPECT_TRUE(take_error());
}

}  // namespace
}  // namespace cairn::gpu
