// Saves of tensors on a device are those of the host: the same tags from the same state, with only
// what is new brought over.
#include "tests/lib/device/device_fixture.h"

namespace cairn {
namespace {

using DeviceSaveTest = DeviceFixture;

TEST_F(DeviceSaveTest, GivesTheSameTagAsTheHost) {
  const Shape shape = {96, 1024};
  const Bytes data = noise(96 * 1024 * 2, 1);
  for (const auto& [axis, parts, writers] : std::vector<std::tuple<size_t, uint64_t, bool>>{
           {0, 1, false}, {0, 4, true}, {0, 3, false}, {1, 2, true}, {1, 5, true}, {0, 7, true}}) {
    SaveRequest request;
    request.tag = "host/" + std::to_string(parts) + std::to_string(axis);
    request.base = "none";
    request.tensors = cut("w", shape, data, axis, parts, writers);
    const auto expected = save(*store_, request);
    ASSERT_TRUE(expected) << expected.error().message;
    request.tag = "device/" + std::to_string(parts) + std::to_string(axis);
    const auto saved = save_from_device(request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(saved->manifest, expected->manifest) << parts << " along " << axis;
    EXPECT_EQ(load_whole(request.tag, "w", shape), data);
    EXPECT_TRUE(saved->notes.empty());
  }
}

/// Memory that takes the digests of some chunks, and not those of what a thread decides on at a
/// time.
TEST_F(DeviceSaveTest, LittleMemoryOfTheDeviceWillDo) {
  const Shape shape = {1200, 1024};
  const Bytes data = noise(1200 * 1024 * 2, 4);
  StagingOptions options = small_options();
  options.device_bytes = 5 * kSlab;
  staging_ = gpu::must(open_staging(options));
  SaveRequest request;
  request.tag = "t";
  request.tensors = cut("w", shape, data, 0, 1, false);
  const auto saved = save_from_device(request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_TRUE(saved->notes.empty());
  EXPECT_EQ(load_whole("t", "w", shape), data);
}

TEST_F(DeviceSaveTest, OnlyWhatChangedIsStored) {
  const Shape shape = {256, 1024};
  Bytes data = noise(256 * 1024 * 2, 2);
  SaveRequest request;
  request.tag = "run/1";
  request.tensors = cut("w", shape, data, 0, 1, false);
  ASSERT_TRUE(save_from_device(request));
  data[data.size() / 2] ^= 1;
  request.tag = "run/2";
  const auto second = save_from_device(request);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->facts.new_chunks, 1u);
  EXPECT_EQ(second->base, "run/1");
  EXPECT_EQ(load_whole("run/2", "w", shape), data);
}

TEST_F(DeviceSaveTest, FenceComesOnceAndOnlyOfSavesThatReadAll) {
  const Shape shape = {256, 1024};
  const Bytes data = noise(256 * 1024 * 2, 3);
  SaveRequest request;
  request.tag = "run/1";
  request.tensors = cut("w", shape, data, 0, 1, false);
  int fences = 0;
  request.fence = [&] { ++fences; };
  ASSERT_TRUE(save_from_device(request));
  EXPECT_EQ(fences, 1);
  std::atomic<bool> stop = true;
  request.tag = "run/2";
  request.call.stop = &stop;
  const auto stopped = save_from_device(request);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_EQ(fences, 1);
}

/// Only what may still be read holds it up.
TEST_F(DeviceSaveTest, FenceDoesNotWaitForWhatIsNoTensorOrStaysStill) {
  const Shape shape = {256, 1024};
  const Bytes data = noise(256 * 1024 * 2, 3), attached = noise(5000, 4), held = noise(32768, 5);
  for (const bool are_still : {false, true}) {
    SaveRequest request;
    request.tag = are_still ? "still" : "moving";
    request.base = "none";
    request.are_still = are_still;
    request.tensors = on_device(cut("w", shape, data, 0, 1, false));
    request.tensors.push_back(cut("host", {16, 1024}, held, 0, 1, false)[0]);
    request.attachments.push_back({"a", attached});
    request.devices.staging = staging_.get();
    std::atomic<bool> has_passed = false;
    std::atomic<int> later = 0, earlier = 0;
    request.fence = [&] { has_passed = true; };
    request.look_up = [&](const std::vector<Digest>& wanted, auto&) -> Status {
      for (const Digest& digest : wanted) {
        const bool is_attached = digest == blake3(attached);
        const bool is_held = digest == blake3(ByteSpan(held).first(16384));
        if (is_attached || is_held) ++(has_passed ? later : earlier);
      }
      return {};
    };
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(later, are_still ? 2 : 1) << are_still;
    EXPECT_EQ(earlier, are_still ? 0 : 1) << are_still;
  }
}

TEST_F(DeviceSaveTest, WithoutStagingTensorsOnDevicesAreRefused) {
  const Bytes data = noise(128, 3);
  SaveRequest request;
  request.tag = "t";
  request.tensors = on_device(cut("w", {8, 8}, data, 0, 1, false));
  const auto refused = save(*store_, request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUsage);
  EXPECT_NE(refused.error().message.find("'w'"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace cairn
