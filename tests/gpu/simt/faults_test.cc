#include "gpu/simt/faults.h"

#include <gmock/gmock.h>

#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/simt/planted_kernels.h"

namespace cairn::gpu {
namespace {

using testing::HasSubstr;

class Faults : public testing::Test {
 protected:
  void TearDown() override {
    simt::clear_faults();
    simt::set_schedule(1);
  }
};

void expect_failure(const Status& status, const char* words) {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kFailed);
  EXPECT_THAT(status.error().message, HasSubstr(words));
}

template <class T>
Status status_of(const Result<T>& result) {
  if (result) return {};
  return tl::unexpected(result.error());
}

TEST_F(Faults, ABrokenDeviceFailsEveryCall) {
  const OnDevice memory(64);
  PinnedMemory host = must(PinnedMemory::allocate(64));
  const OwnStream own = must(OwnStream::make());
  Event event = must(Event::make());
  must(event.record(own.stream()));
  simt::break_device("an illegal memory access was encountered");
  const char* const words = "an illegal memory access was encountered";
  for (const Stream stream : {Stream{}, own.stream()}) {
    expect_failure(copy_up(stream, memory.data(), host.span()), words);
    expect_failure(copy_down(stream, host.span(), memory.data()), words);
    expect_failure(copy_within(stream, memory.data(), memory.data(), 64), words);
    expect_failure(fill_zeros(stream, memory.data(), 64), words);
    expect_failure(synchronize(stream), words);
    expect_failure(event.record(stream), words);
    expect_failure(wait_for(stream, event), words);
    expect_failure(
        launch(stream, {1, 32}, "count", count_threads<true>, aligned<unsigned>(memory.data())),
        words);
  }
  expect_failure(event.wait(), words);
  expect_failure(take_error(), words);
  expect_failure(status_of(event.is_done()), words);
  expect_failure(status_of(device_facts()), words);
  expect_failure(status_of(current_device()), words);
  expect_failure(status_of(DeviceScope::enter(0)), words);
  expect_failure(use_device(0), words);
  expect_failure(status_of(DeviceMemory::allocate(64)), words);
  expect_failure(status_of(PinnedMemory::allocate(64)), words);
  expect_failure(status_of(OwnStream::make()), words);
  expect_failure(status_of(Event::make()), words);
  simt::mend_device();
  must(copy_up(own.stream(), memory.data(), host.span()));
  must(synchronize(own.stream()));
}

TEST_F(Faults, ADeviceBreaksInTheMidstOfWork) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    simt::set_schedule(seed);
    const OnDevice memory(Bytes(64, 7));
    const PinnedMemory host = must(PinnedMemory::allocate(64));
    std::fill_n(host.data(), 64, 1);
    const OwnStream stream = must(OwnStream::make());
    simt::break_device_after(1, "unspecified launch failure");
    // Told at once, or by the wait.
    Status status = fill_zeros(stream.stream(), memory.data(), 32);
    if (status) status = copy_down(stream.stream(), host.span(), memory.data());
    if (status) status = synchronize(stream.stream());
    expect_failure(status, "unspecified launch failure");
    EXPECT_EQ(host.data()[0], 1);
    simt::mend_device();
    EXPECT_EQ(memory.content()[0], 0);
  }
}

TEST_F(Faults, AllocationsFailAfterSome) {
  simt::fail_allocations_after(2);
  must(DeviceMemory::allocate(100));
  must(PinnedMemory::allocate(100));
  const auto memory = DeviceMemory::allocate(100);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, Code::kNoSpace);
  const auto pinned = PinnedMemory::allocate(100);
  ASSERT_FALSE(pinned);
  EXPECT_EQ(pinned.error().code, Code::kNoSpace);
  simt::clear_faults();
  must(DeviceMemory::allocate(100));
}

TEST_F(Faults, EachDeviceHasSoMuchMemory) {
  simt::set_memory(1000);
  const DeviceMemory first = must(DeviceMemory::allocate(600));
  {
    const DeviceMemory second = must(DeviceMemory::allocate(400));
    EXPECT_FALSE(DeviceMemory::allocate(1));
    const DeviceScope scope = must(DeviceScope::enter(1));
    must(DeviceMemory::allocate(1000));
    EXPECT_FALSE(DeviceMemory::allocate(1001));
  }
  must(DeviceMemory::allocate(400));
  must(PinnedMemory::allocate(5000));
}

TEST_F(Faults, AStreamThatItsOwnerDestroyedIsTold) {
  const OnDevice memory(64);
  const PinnedMemory host = must(PinnedMemory::allocate(64));
  const OwnStream own = must(OwnStream::make());
  Event event = must(Event::make());
  must(event.record(own.stream()));
  simt::destroy_stream(own.stream());
  const char* const words = "invalid resource handle";
  expect_failure(copy_up(own.stream(), memory.data(), host.span()), words);
  expect_failure(copy_down(own.stream(), host.span(), memory.data()), words);
  expect_failure(fill_zeros(own.stream(), memory.data(), 64), words);
  expect_failure(synchronize(own.stream()), words);
  expect_failure(event.record(own.stream()), words);
  expect_failure(wait_for(own.stream(), event), words);
  expect_failure(
      launch(own.stream(), {1, 32}, "count", count_threads<true>, aligned<unsigned>(memory.data())),
      words);
  must(event.wait());
  must(take_error());
}

TEST_F(Faults, WhatIsOfTwoDevicesDoesNotGoTogether) {
  EXPECT_EQ(must(device_count()), 2u);
  const OnDevice here(64), beside(64);
  const OwnStream own = must(OwnStream::make());
  Event event = must(Event::make());
  const PinnedMemory host = must(PinnedMemory::allocate(64));
  const DeviceScope scope = must(DeviceScope::enter(1));
  const OnDevice there(64);
  const OwnStream other = must(OwnStream::make());
  const char* const words = "of device 0 in a stream of device 1";
  expect_failure(copy_up(other.stream(), here.data(), host.span()), words);
  expect_failure(copy_down(other.stream(), host.span().first(56), here.data() + 8), words);
  expect_failure(copy_within(other.stream(), there.data(), here.data(), 64), words);
  expect_failure(fill_zeros({}, here.data(), 64), words);
  expect_failure(
      launch(own.stream(), {1, 32}, "count", count_threads<true>, aligned<unsigned>(here.data())),
      "stream is of device 0, and 1 is current");
  expect_failure(event.record(other.stream()), "of two devices");
  // Each in its own is fine, whatever is current, and so is waiting for one another.
  must(copy_up(own.stream(), here.data(), host.span()));
  must(event.record(own.stream()));
  must(wait_for(other.stream(), event));
  must(copy_down(other.stream(), host.span(), there.data()));
  must(synchronize(other.stream()));
}

TEST_F(Faults, CopiesBeyondTheEndOfMemoryAreTold) {
  const DeviceMemory memory = must(DeviceMemory::allocate(64));
  expect_failure(fill_zeros({}, memory.data() + 8, 60), "ends after 56 of 60 bytes");
  must(fill_zeros({}, memory.data() + 8, 56));
}

TEST_F(Faults, WithoutADevice) {
  simt::set_devices(0);
  EXPECT_EQ(must(device_count()), 0u);
  expect_failure(status_of(device_facts()), "no CUDA-capable device");
  expect_failure(status_of(OwnStream::make()), "no CUDA-capable device");
  simt::set_devices(3);
  must(DeviceScope::enter(2));
  expect_failure(status_of(DeviceScope::enter(3)), "invalid device ordinal");
}

}  // namespace
}  // namespace cairn::gpu
