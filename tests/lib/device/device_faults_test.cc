// Bad luck with devices: streams that run when they like, memory that is not there, devices that
// break, streams that are gone, a training that does not wait.
#include "tests/lib/device/faulty_device_fixture.h"

namespace cairn {
namespace {

namespace simt = gpu::simt;

class DeviceFaultsTest : public FaultyDeviceFixture {
 protected:
  Bytes load_on_device(const std::string& tag) {
    const gpu::OnDevice there(kRows * 2048);
    LoadRequest request;
    request.devices.staging = staging_.get();
    request.targets.push_back({"w", Dtype::kBF16, shape_, whole_box(shape_), there.data(), {}, 0});
    auto checkpoint = gpu::must(open_tag(*store_, tag));
    const auto loaded = load(*checkpoint, request);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return there.content();
  }

  /// That the store is whole, and the name is free.
  void expect_unharmed(const std::string& tag, const Bytes& data) {
    simt::clear_faults();
    EXPECT_FALSE(open_tag(*store_, tag));
    staging_ = gpu::must(open_staging(small_options()));
    const auto again = save_from_device(request_of(tag, data));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(load_whole(tag, "w", shape_), data);
  }
};

TEST_F(DeviceFaultsTest, NoScheduleOfStreamsMatters) {
  Bytes data = noise(kRows * 2048, 1);
  for (uint64_t seed = 0; seed < 24; ++seed) {
    simt::set_schedule(seed);
    data[seed * 5000] ^= 1;
    const std::string tag = "run/" + std::to_string(seed);
    const auto saved = save_from_device(request_of(tag, data));
    ASSERT_TRUE(saved) << seed << ": " << saved.error().message;
    EXPECT_EQ(load_whole(tag, "w", shape_), data) << seed;
    EXPECT_EQ(load_on_device(tag), data) << seed;
  }
}

/// What the caller enqueued before is seen: the state is made in its stream right before the save.
TEST_F(DeviceFaultsTest, SavesBeginBehindTheCallersStream) {
  const Bytes data = noise(kRows * 2048, 2);
  for (uint64_t seed = 0; seed < 9; ++seed) {
    simt::set_schedule(seed);
    SaveRequest request = request_of("run/" + std::to_string(seed), data);
    request.base = "none";
    const Bytes zeros(data.size());
    request.tensors[0].data = zeros.data();
    request.tensors = on_device(request.tensors);
    const auto stream = gpu::must(gpu::OwnStream::make());
    const auto made = gpu::OnDevice(ByteSpan(data));
    gpu::must(gpu::copy_within(stream.stream(), memory_.back()->data(), made.data(), data.size()));
    request.devices = {staging_.get(), {{0, stream.stream().handle}}};
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "w", shape_), data) << seed;
  }
}

/// A training step overwrites the tensors as soon as the fence has come.
TEST_F(DeviceFaultsTest, TheStateOfBeforeTheFenceIsSaved) {
  const Bytes data = noise(kRows * 2048, 3);
  const auto training = gpu::must(gpu::OwnStream::make());
  for (uint64_t seed = 0; seed < 9; ++seed) {
    simt::set_schedule(seed);
    SaveRequest request = request_of("run/" + std::to_string(seed), data);
    request.base = "none";
    request.tensors = on_device(request.tensors);
    request.devices.staging = staging_.get();
    request.fence = [&, memory = memory_.back().get()] {
      gpu::must(gpu::fill_zeros(training.stream(), memory->data(), data.size()));
      gpu::must(gpu::synchronize(training.stream()));
    };
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "w", shape_), data) << seed;
  }
}

/// One that does not wait is told; its state is never stored in part.
TEST_F(DeviceFaultsTest, WithoutTheFenceTheSaveFails) {
  const Bytes data = noise(kRows * 2048, 4);
  SaveRequest request = request_of("run/1", data);
  request.tensors = on_device(request.tensors);
  request.devices.staging = staging_.get();
  // Asked when chunks were digested, and before they travel.
  request.look_up = [&, memory = memory_.back().get()](const auto&, auto&) -> Status {
    return gpu::fill_zeros({}, memory->data(), data.size());
  };
  const auto saved = save(*store_, request);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::kUsage);
  EXPECT_EQ(saved.error().message, "tensor 'w' changed while it was read");
  expect_unharmed("run/1", data);
}

TEST_F(DeviceFaultsTest, WithoutMemoryOfTheDeviceTheHostDoesIt) {
  const Bytes data = noise(kRows * 2048, 5);
  const auto expected = save(*store_, request_of("host/1", data));
  ASSERT_TRUE(expected);
  SaveRequest request = request_of("device/1", data);
  request.tensors = on_device(request.tensors);
  request.base = "none";
  request.devices.staging = staging_.get();
  const gpu::OnDevice there(kRows * 2048);
  simt::set_memory(0);
  const auto saved = save(*store_, request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(saved->manifest, expected->manifest);
  ASSERT_EQ(saved->notes.size(), 1u);
  EXPECT_NE(saved->notes[0].find("device 0 has no"), std::string::npos) << saved->notes[0];
  LoadRequest loading;
  loading.devices.staging = staging_.get();
  loading.targets.push_back({"w", Dtype::kBF16, shape_, whole_box(shape_), there.data(), {}, 0});
  auto checkpoint = gpu::must(open_tag(*store_, "device/1"));
  const auto loaded = load(*checkpoint, loading);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->notes.size(), 1u);
  EXPECT_EQ(there.content(), data);
}

/// Whatever allocation fails, the save is made or fails in words, and the next one is made.
TEST_F(DeviceFaultsTest, AnyAllocationMayFail) {
  const Bytes data = noise(kRows * 2048, 6);
  bool is_made = false;
  for (uint64_t count = 0; count < 40 && !is_made; ++count) {
    SaveRequest request = request_of("run/" + std::to_string(count), data);
    request.tensors = on_device(request.tensors);
    staging_ = gpu::must(open_staging(small_options()));
    request.devices.staging = staging_.get();
    simt::fail_allocations_after(count);
    const auto saved = save(*store_, request);
    simt::clear_faults();
    if (!saved) {
      EXPECT_EQ(saved.error().code, Code::kNoSpace) << saved.error().message;
      continue;
    }
    is_made = saved->notes.empty();
    EXPECT_EQ(load_whole(request.tag, "w", shape_), data);
  }
  EXPECT_TRUE(is_made);
}

/// A device that breaks after any number of its tasks: the error is told, the store unharmed.
TEST_F(DeviceFaultsTest, ADeviceMayBreakAtAnyTask) {
  const Bytes data = noise(kRows * 2048, 7);
  uint64_t failed = 0;
  for (uint64_t count = 0; count < 200; count += 3) {
    simt::set_schedule(count);
    staging_ = gpu::must(open_staging(small_options()));
    SaveRequest request = request_of("run/" + std::to_string(count), data);
    request.base = "none";
    request.tensors = on_device(request.tensors);
    request.devices.staging = staging_.get();
    simt::break_device_after(count, "an illegal address");
    const auto saved = save(*store_, request);
    if (saved) {
      simt::clear_faults();
      EXPECT_EQ(load_whole(request.tag, "w", shape_), data);
      break;
    }
    ++failed;
    EXPECT_EQ(saved.error().code, Code::kFailed);
    EXPECT_NE(saved.error().message.find("an illegal address"), std::string::npos)
        << saved.error().message;
    expect_unharmed(request.tag, data);
  }
  EXPECT_GT(failed, 3u);
}

TEST_F(DeviceFaultsTest, ABrokenDeviceDoesNotBreakLoads) {
  const Bytes data = noise(kRows * 2048, 8);
  ASSERT_TRUE(save(*store_, request_of("t", data)));
  const gpu::OnDevice there(kRows * 2048);
  for (uint64_t count = 0; count < 60; count += 5) {
    simt::set_schedule(count);
    staging_ = gpu::must(open_staging(small_options()));
    LoadRequest request;
    request.devices.staging = staging_.get();
    request.targets.push_back({"w", Dtype::kBF16, shape_, whole_box(shape_), there.data(), {}, 0});
    auto checkpoint = gpu::must(open_tag(*store_, "t"));
    simt::break_device_after(count, "an illegal address");
    const auto loaded = load(*checkpoint, request);
    simt::clear_faults();
    if (loaded) break;
    EXPECT_NE(loaded.error().message.find("an illegal address"), std::string::npos)
        << loaded.error().message;
  }
  staging_ = gpu::must(open_staging(small_options()));
  EXPECT_EQ(load_on_device("t"), data);
}

TEST_F(DeviceFaultsTest, AStreamThatIsGoneIsTold) {
  const Bytes data = noise(kRows * 2048, 9);
  SaveRequest request = request_of("run/1", data);
  request.tensors = on_device(request.tensors);
  const auto stream = gpu::must(gpu::OwnStream::make());
  simt::destroy_stream(stream.stream());
  request.devices = {staging_.get(), {{0, stream.stream().handle}}};
  const auto saved = save(*store_, request);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::kFailed);
  expect_unharmed("run/1", data);
}

TEST_F(DeviceFaultsTest, TensorsOfSeveralDevicesAreOneSave) {
  const Bytes a = noise(kRows * 2048, 10), b = noise(kRows * 2048, 11);
  SaveRequest request;
  request.tag = "t";
  request.tensors = on_device(cut("a", shape_, a, 0, 1, false), 0);
  for (const TensorSource& each : on_device(cut("b", shape_, b, 0, 1, false), 1)) {
    request.tensors.push_back(each);
  }
  // Its chunks are cut by what the devices and the host have of it.
  const auto halves = cut("c", shape_, a, 1, 3, false);
  request.tensors.push_back(on_device({halves[0]}, 0)[0]);
  request.tensors.push_back(on_device({halves[1]}, 1)[0]);
  request.tensors.push_back(halves[2]);
  request.devices.staging = staging_.get();
  for (uint64_t seed = 0; seed < 6; ++seed) {
    simt::set_schedule(seed);
    request.tag = "run/" + std::to_string(seed);
    request.base = "none";
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "a", shape_), a);
    EXPECT_EQ(load_whole(request.tag, "b", shape_), b);
    EXPECT_EQ(load_whole(request.tag, "c", shape_), a);
  }
}

}  // namespace
}  // namespace cairn
