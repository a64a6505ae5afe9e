// What lives how long in saves from devices: tensors until the fence, slots until copies are done.
#include <limits>
#include <stdexcept>

#include "tests/lib/device/faulty_device_fixture.h"

namespace cairn {
namespace {

namespace simt = gpu::simt;

class DeviceLifetimesTest : public FaultyDeviceFixture {
 protected:
  SaveRequest request_of(const std::string& tag, const Bytes& data) {
    SaveRequest request = FaultyDeviceFixture::request_of(tag, data);
    request.base = "none";
    return request;
  }
};

/// A master in the host's memory beside its weight on a device.
TEST_F(DeviceLifetimesTest, TensorsOfTheHostMayGoAfterTheFenceToo) {
  const Bytes weight = noise(kRows * 2048, 1), before = noise(kRows * 4096, 2);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    simt::set_schedule(seed);
    Bytes master = before;
    SaveRequest request = request_of("run/" + std::to_string(seed), weight);
    request.tensors = on_device(request.tensors);
    request.tensors[0].role = Role::kWeight;
    request.tensors.push_back({"m", Dtype::kF32, shape_, whole_box(shape_), master.data(), {}});
    request.tensors[1].role = Role::kMaster;
    for (TensorSource& tensor : request.tensors) tensor.parameter = "w";
    request.devices.staging = staging_.get();
    request.fence = [&] { std::fill(master.begin(), master.end(), uint8_t{0}); };
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "w", shape_), weight);
    Bytes loaded(master.size());
    LoadRequest loading;
    loading.targets.push_back({"m", Dtype::kF32, shape_, whole_box(shape_), loaded.data(), {}});
    auto checkpoint = gpu::must(open_tag(*store_, request.tag));
    const auto read = load(*checkpoint, loading);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(loaded, before);
  }
}

/// What makes the tensors is spread over two streams of the device.
TEST_F(DeviceLifetimesTest, SavesBeginBehindAllStreamsOfTheCaller) {
  const Bytes data = noise(kRows * 2048, 2), zeros(data.size());
  for (uint64_t seed = 0; seed < 9; ++seed) {
    simt::set_schedule(seed);
    SaveRequest request = request_of("run/" + std::to_string(seed), zeros);
    request.tensors = on_device(request.tensors);
    const auto first = gpu::must(gpu::OwnStream::make()),
               second = gpu::must(gpu::OwnStream::make());
    const auto made = gpu::OnDevice(ByteSpan(data));
    gpu::must(gpu::copy_within(second.stream(), memory_.back()->data(), made.data(), data.size()));
    request.devices = {staging_.get(), {{0, first.stream().handle}, {0, second.stream().handle}}};
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "w", shape_), data) << seed;
  }
}

/// Copies into slots, and out of tensors, are done when the call is over, whatever came of it.
TEST_F(DeviceLifetimesTest, AfterAnErrorNothingIsUnderWay) {
  const Bytes data = noise(kRows * 2048, 3);
  for (uint64_t seed = 2; seed < 20; seed += 3) {
    simt::set_schedule(seed);
    SaveRequest request = request_of("run/" + std::to_string(seed), data);
    request.tensors = on_device(request.tensors);
    request.devices.staging = staging_.get();
    request.fence = [] { throw std::runtime_error("the caller's"); };
    EXPECT_FALSE(save(*store_, request));
    // Any task that is left would break the device; memory that is given back runs all of them.
    simt::break_device_after(0, "something was under way");
    gpu::must(gpu::PinnedMemory::allocate(1));
    EXPECT_TRUE(gpu::take_error()) << seed;
    simt::clear_faults();
  }
}

/// Each process of a host has a device of its own, and must take no memory of others.
TEST_F(DeviceLifetimesTest, OnlyTheDevicesOfTheTensorsAreTouched) {
  const Bytes first = noise(kRows * 2048, 5);
  Bytes second = first;
  for (size_t i = 0; i < second.size(); i += 64) second[i] ^= 1;
  SaveRequest request = request_of("run/1", first);
  request.tensors = on_device(request.tensors, 1);
  const std::vector<TensorSource> before = request.tensors;
  request.devices.staging = staging_.get();
  simt::take_contexts();
  ASSERT_TRUE(save(*store_, request));
  EXPECT_EQ(simt::take_contexts(), std::vector<unsigned>{1});
  request = request_of("run/2", second);
  request.base = "run/1";
  request.tensors = on_device(request.tensors, 1);
  request.base_memory = before;
  request.devices.staging = staging_.get();
  simt::take_contexts();
  ASSERT_TRUE(save(*store_, request));
  EXPECT_EQ(simt::take_contexts(), std::vector<unsigned>{1});
  LoadRequest loading;
  loading.devices.staging = staging_.get();
  auto* const there = const_cast<void*>(request.tensors[0].data);
  loading.targets.push_back({"w", Dtype::kBF16, shape_, whole_box(shape_), there, {}, 1});
  auto checkpoint = gpu::must(open_tag(*store_, "run/1"));
  ASSERT_TRUE(load(*checkpoint, loading));
  EXPECT_EQ(simt::take_contexts(), std::vector<unsigned>{1});
  staging_.reset();
  EXPECT_EQ(simt::take_contexts(), std::vector<unsigned>{1});
}

TEST_F(DeviceLifetimesTest, AFactThatIsNoNumberHindersNoSave) {
  const Bytes first = noise(kRows * 2048, 4);
  Bytes second = first;
  for (size_t i = 0; i < second.size(); i += 64) second[i] ^= 1;
  SaveRequest request = request_of("run/1", first);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  request.optimizer.common.lr = nan;
  request.tensors[0].role = Role::kWeight;
  request.tensors[0].parameter = "w";
  ASSERT_TRUE(save_from_device(request));
  request.base = "run/1";
  request.tag = "run/2";
  request.base_memory = on_device(request.tensors);
  request.tensors[0].data = second.data();
  const auto saved = save_from_device(request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(load_whole("run/2", "w", shape_), second);
}

}  // namespace
}  // namespace cairn
