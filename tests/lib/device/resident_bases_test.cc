// What was saved before lies beside the tensors on the device: only what differs crosses over.
#include "tests/lib/device/device_fixture.h"
#include "tests/lib/trainer.h"

namespace cairn {
namespace {

class ResidentBasesTest : public DeviceFixture {
 protected:
  static constexpr uint64_t kRows = 160;
  const Shape shape_ = {kRows, 1024};

  /// Of one chunk, now and before: how the others travel is learnt from it.
  static constexpr uint64_t kSampleBytes = 2 * 16384;

  /// A state of which every 20th element is another.
  Bytes changed(Bytes data, uint32_t seed) const {
    std::mt19937 random(seed);
    for (size_t i = 0; i + 2 <= data.size(); i += 2) {
      if (random() % 20 == 0) data[i] = static_cast<uint8_t>(data[i] + 1 + random() % 255);
    }
    return data;
  }

  /// Saves both in turn, the second with the first still on the device.
  Result<SaveResult> save_two(const Bytes& first, const Bytes& second, const Bytes& resident,
                              uint64_t parts = 1) {
    SaveRequest request;
    request.tag = "run/1";
    request.tensors = cut("w", shape_, first, 1, parts, false);
    if (const auto saved = save_from_device(request); !saved) return saved;
    request.tag = "run/2";
    request.tensors = cut("w", shape_, second, 1, parts, false);
    request.base_memory = on_device(cut("w", shape_, resident, 1, parts, false));
    return save_from_device(request);
  }
};

TEST_F(ResidentBasesTest, OnlyWhatDiffersCrossesOver) {
  const Bytes first = noise(kRows * 2048, 1), second = changed(first, 2);
  const auto saved = save_two(first, second, first);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_LT(saved->brought_bytes, second.size() * 15 / 100 + kSampleBytes);
  EXPECT_EQ(load_whole("run/2", "w", shape_), second);
}

TEST_F(ResidentBasesTest, NoScheduleMatters) {
  Bytes last = noise(kRows * 2048, 12);
  SaveRequest request;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    draw_schedule(seed);
    const Bytes now = seed == 0 ? last : changed(last, seed);
    request.tag = "run/" + std::to_string(seed);
    request.tensors = cut("w", shape_, now, 0, 1, false);
    request.base_memory = on_device(cut("w", shape_, last, 0, 1, false));
    const auto saved = save_from_device(request);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_EQ(load_whole(request.tag, "w", shape_), now) << seed;
    if (seed > 0) {
      EXPECT_LT(saved->brought_bytes, now.size() * 15 / 100 + kSampleBytes);
    }
    last = now;
  }
}

TEST_F(ResidentBasesTest, TheTagIsThatOfTheHost) {
  const Bytes first = noise(kRows * 2048, 3), second = changed(first, 4);
  const auto saved = save_two(first, second, first);
  ASSERT_TRUE(saved) << saved.error().message;
  SaveRequest request;
  request.tag = "host/2";
  request.base = "run/1";
  request.tensors = cut("w", shape_, second, 1, 1, false);
  const auto expected = save(*store_, request);
  ASSERT_TRUE(expected);
  EXPECT_EQ(saved->manifest, expected->manifest);
  EXPECT_EQ(saved->facts.new_bytes, expected->facts.new_bytes);
}

TEST_F(ResidentBasesTest, AnythingElseThanTheBaseIsOfNoUse) {
  const Bytes first = noise(kRows * 2048, 5), second = changed(first, 6);
  const auto saved = save_two(first, second, changed(first, 7));
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_GT(saved->brought_bytes, second.size());
  EXPECT_EQ(load_whole("run/2", "w", shape_), second);
}

TEST_F(ResidentBasesTest, WhatDiffersAlmostEverywhereIsSentWhole) {
  const Bytes first = noise(kRows * 2048, 8), second = noise(kRows * 2048, 9);
  const auto saved = save_two(first, second, first);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_GT(saved->brought_bytes, second.size());
  EXPECT_LT(saved->brought_bytes, second.size() + second.size() / 50 + kSampleBytes);
  EXPECT_EQ(load_whole("run/2", "w", shape_), second);
}

TEST_F(ResidentBasesTest, BoxesAreFoundInBoxes) {
  const Bytes first = noise(kRows * 2048, 10), second = changed(first, 11);
  const auto saved = save_two(first, second, first, 2);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_LT(saved->brought_bytes, second.size() * 15 / 100 + kSampleBytes);
  EXPECT_EQ(load_whole("run/2", "w", shape_), second);
}

/// Chunks that are smaller than what a kernel takes at a time, of which many go into a slab.
TEST_F(ResidentBasesTest, SmallChunksHaveRoom) {
  const Shape shape = {32769};
  const Bytes first = noise(32769, 13), second = changed(first, 14);
  SaveRequest request;
  request.tag = "run/1";
  request.tensors.push_back({"w", Dtype::kU8, shape, whole_box(shape), first.data(), {}});
  ASSERT_TRUE(save_from_device(request));
  request.tag = "run/2";
  request.base_memory = on_device(request.tensors);
  request.tensors[0].data = second.data();
  const auto saved = save_from_device(request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_LT(saved->brought_bytes, second.size());
  Bytes loaded(second.size());
  LoadRequest loading;
  loading.targets.push_back({"w", Dtype::kU8, shape, whole_box(shape), loaded.data(), {}});
  ASSERT_TRUE(load(*gpu::must(open_tag(*store_, "run/2")), loading));
  EXPECT_EQ(loaded, second);
}

/// A training run, every step of it saved from the device.
class ResidentSeriesTest : public DeviceFixture {
 protected:
  void SetUp() override {
    DeviceFixture::SetUp();
    StagingOptions options;
    options.slab_bytes = uint64_t{1} << 20;
    options.pinned_bytes = 4 * options.slab_bytes;
    options.device_bytes = 16 * options.slab_bytes;
    staging_ = gpu::must(open_staging(options));
  }

  static SaveRequest request_of(const std::string& tag, const State& state) {
    SaveRequest request;
    request.tag = tag;
    for (const auto& [name, tensor] : state) {
      TensorSource source{
          name, tensor.dtype, tensor.shape, whole_box(tensor.shape), tensor.bytes.data(), {}};
      source.role = tensor.role;
      source.parameter = tensor.parameter;
      request.tensors.push_back(std::move(source));
    }
    return request;
  }

  void expect_loads(const std::string& tag, const State& state) {
    auto checkpoint = gpu::must(open_tag(*store_, tag));
    for (const auto& [name, tensor] : state) {
      Bytes bytes(tensor.bytes.size());
      LoadRequest request;
      request.targets.push_back(
          {name, tensor.dtype, tensor.shape, whole_box(tensor.shape), bytes.data(), {}});
      const auto loaded = load(*checkpoint, request);
      ASSERT_TRUE(loaded) << loaded.error().message;
      EXPECT_EQ(bytes, tensor.bytes) << tag << " " << name;
    }
  }
};

TEST_F(ResidentSeriesTest, StepsOfAnOptimizerAreReplayed) {
  Trainer trainer(1);
  trainer.add("a", {128, 512});
  trainer.add("b", {64, 300});
  State last;
  for (int step = 0; step < 5; ++step) {
    trainer.step();
    SaveRequest request = request_of("run/" + std::to_string(step), trainer.state());
    request.optimizer.common = trainer.facts();
    request.weights_every = 3;
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : trainer.state()) bytes += tensor.bytes.size();
    if (step > 0) request.base_memory = on_device(request_of("", last).tensors);
    const auto saved = save_from_device(request);
    ASSERT_TRUE(saved) << saved.error().message;
    expect_loads(request.tag, trainer.state());
    if (step > 0) {
      EXPECT_LT(saved->brought_bytes, bytes * 45 / 100) << step;
    }
    request.tag = "host/" + std::to_string(step);
    request.base_memory.clear();
    request.base = step == 0 ? "none" : "host/" + std::to_string(step - 1);
    const auto expected = save(*store_, request);
    ASSERT_TRUE(expected) << expected.error().message;
    EXPECT_EQ(saved->manifest, expected->manifest);
    last = trainer.state();
    memory_.clear();
  }
}

}  // namespace
}  // namespace cairn
