// Loads into tensors on a device give what loads into the host's memory give: any box, any strides,
// any dtype; and what is damaged is told by name.
#include <filesystem>
#include <fstream>
#include <new>

#include "gpu/simt/faults.h"
#include "lib/staged_calls.h"
#include "tests/lib/device/device_fixture.h"

namespace cairn {
namespace {

class DeviceLoadTest : public DeviceFixture {
 protected:
  /// Loads into memory of the host and of a device, all bytes of which begin alike; expects the
  /// same in both afterwards.
  void expect_alike(const std::string& tag, TensorTarget target, uint64_t bytes,
                    bool cast = false) {
    Bytes on_host(bytes, 0xee);
    target.data = on_host.data() + offset_;
    LoadRequest request;
    request.cast = cast;
    request.targets = {target};
    auto checkpoint = gpu::must(open_tag(*store_, tag));
    const auto loaded = load(*checkpoint, request);
    ASSERT_TRUE(loaded) << loaded.error().message;
    const gpu::OnDevice there{ByteSpan(Bytes(bytes, 0xee))};
    request.targets[0].data = there.data() + offset_;
    request.targets[0].device = 0;
    request.devices.staging = staging_.get();
    const auto sent = load(*checkpoint, request);
    ASSERT_TRUE(sent) << sent.error().message;
    EXPECT_EQ(there.content(), on_host) << target.name << " " << target.box.text();
    EXPECT_EQ(sent->bytes, loaded->bytes);
  }

  void save_noise(const std::string& tag, const Shape& shape, Dtype dtype = Dtype::kBF16) {
    const Bytes data = noise(whole_box(shape).elements() * bits_per_element(dtype) / 8, 9);
    SaveRequest request;
    request.tag = tag;
    request.tensors.push_back({"w", dtype, shape, whole_box(shape), data.data()});
    ASSERT_TRUE(save(*store_, request));
  }

  uint64_t offset_ = 0;  // of the target in its memory
};

TEST_F(DeviceLoadTest, FillsWholeTensorsAndBoxes) {
  const Shape shape = {96, 1024};
  save_noise("t", shape);
  expect_alike("t", {"w", Dtype::kBF16, shape, whole_box(shape), nullptr, {}}, 96 * 2048);
  expect_alike("t", {"w", Dtype::kBF16, shape, {{10, 100}, {50, 333}}, nullptr, {}}, 50 * 666);
  expect_alike("t", {"w", Dtype::kBF16, shape, {{0, 512}, {96, 512}}, nullptr, {2048, 2}},
               96 * 2048);
  offset_ = 2;
  expect_alike("t", {"w", Dtype::kBF16, shape, {{1, 3}, {40, 1000}}, nullptr, {2048, 2}},
               96 * 2048);
}

/// As they do of a load into the host's memory.
TEST_F(DeviceLoadTest, CountersTellHowFarItIs) {
  const Shape shape = {96, 1024};
  const Bytes data = noise(96 * 2048, 9), zeros(96 * 2048);
  SaveRequest request;
  request.tag = "t";
  request.tensors.push_back({"w", Dtype::kBF16, shape, whole_box(shape), data.data()});
  request.tensors.push_back({"z", Dtype::kBF16, shape, whole_box(shape), zeros.data()});
  ASSERT_TRUE(save(*store_, request));
  const gpu::OnDevice w(96 * 2048), z(96 * 2048);
  Bytes on_host(96 * 2048);
  ProgressCounters counters;
  LoadRequest loading;
  loading.call.progress = &counters;
  loading.devices.staging = staging_.get();
  loading.targets = {{"w", Dtype::kBF16, shape, whole_box(shape), w.data()},
                     {"z", Dtype::kBF16, shape, {{3, 0}, {50, 700}}, z.data()},
                     {"w", Dtype::kBF16, shape, {{0, 0}, {20, 1024}}, on_host.data()}};
  loading.targets[0].device = loading.targets[1].device = 0;
  auto checkpoint = gpu::must(open_tag(*store_, "t"));
  gpu::must(load(*checkpoint, loading));
  EXPECT_EQ(counters.total_bytes, 96 * 2048u + 50 * 1400u + 20 * 2048u);
  EXPECT_EQ(counters.done_bytes, counters.total_bytes);
}

TEST_F(DeviceLoadTest, FillsTransposedTensors) {
  const Shape shape = {64, 300};
  save_noise("t", shape);
  expect_alike("t", {"w", Dtype::kBF16, shape, whole_box(shape), nullptr, {2, 128}}, 64 * 600);
  expect_alike("t", {"w", Dtype::kF32, shape, whole_box(shape), nullptr, {4, 256}}, 64 * 1200,
               true);
}

TEST_F(DeviceLoadTest, ConvertsElements) {
  const Shape shape = {50, 1000};
  save_noise("t", shape);
  expect_alike("t", {"w", Dtype::kF32, shape, whole_box(shape), nullptr, {}}, 50 * 4000, true);
  expect_alike("t", {"w", Dtype::kF16, shape, {{3, 7}, {20, 501}}, nullptr, {}}, 20 * 1002, true);
  save_noise("bytes", {30, 999}, Dtype::kF8E4M3);
  expect_alike("bytes", {"w", Dtype::kBF16, {30, 999}, whole_box({30, 999}), nullptr, {}},
               30 * 1998, true);
}

TEST_F(DeviceLoadTest, TargetsOfSeveralMemoriesGetTheSame) {
  const Shape shape = {96, 1024};
  const Bytes data = noise(96 * 2048, 4);
  SaveRequest saving;
  saving.tag = "t";
  saving.tensors = cut("w", shape, data, 0, 1, false);
  ASSERT_TRUE(save(*store_, saving));
  const gpu::OnDevice first(data.size());
  std::optional<gpu::OnDevice> second;
  {
    const auto scope = gpu::must(gpu::DeviceScope::enter(second_device()));
    second.emplace(data.size());
  }
  Bytes on_host(data.size());
  LoadRequest request;
  request.devices.staging = staging_.get();
  const TensorTarget target{"w", Dtype::kBF16, shape, whole_box(shape), on_host.data(), {}};
  request.targets = {target, target, target};
  request.targets[1].data = first.data();
  request.targets[1].device = 0;
  request.targets[2].data = second->data();
  request.targets[2].device = second_device();
  auto checkpoint = gpu::must(open_tag(*store_, "t"));
  const auto loaded = load(*checkpoint, request);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(on_host, data);
  EXPECT_EQ(first.content(), data);
  const auto scope = gpu::must(gpu::DeviceScope::enter(second_device()));
  EXPECT_EQ(second->content(), data);
}

TEST_F(DeviceLoadTest, DevicesShareTheSlots) {
  const Shape shape = {256, 1024};
  StagingOptions options = small_options();
  options.pinned_bytes = 0;  // two slots
  staging_ = gpu::must(open_staging(options));
  std::vector<Bytes> data;
  SaveRequest saving;
  saving.tag = "t";
  for (uint32_t i = 0; i < 4; ++i) data.push_back(noise(256 * 2048, i));
  for (uint32_t i = 0; i < 4; ++i) {
    saving.tensors.push_back(cut("w" + std::to_string(i), shape, data[i], 0, 1, false)[0]);
  }
  ASSERT_TRUE(save(*store_, saving));
  LoadRequest request;
  request.devices.staging = staging_.get();
  std::vector<std::unique_ptr<gpu::OnDevice>> there;
  for (uint32_t i = 0; i < 4; ++i) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(i % 2));
    there.push_back(std::make_unique<gpu::OnDevice>(data[i].size()));
    request.targets.push_back({"w" + std::to_string(i),
                               Dtype::kBF16,
                               shape,
                               whole_box(shape),
                               there.back()->data(),
                               {},
                               i % 2});
  }
  auto checkpoint = gpu::must(open_tag(*store_, "t"));
  const auto loaded = load(*checkpoint, request);
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (uint32_t i = 0; i < 4; ++i) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(i % 2));
    EXPECT_EQ(there[i]->content(), data[i]) << i;
  }
}

/// A device that has all slots, none of them full, gives them up for another.
TEST_F(DeviceLoadTest, MoreDevicesThanSlotsAreServed) {
  gpu::simt::set_devices(4);
  const Shape shape = {64, 1024};
  StagingOptions options = small_options();
  options.pinned_bytes = 0;  // two slots
  staging_ = gpu::must(open_staging(options));
  const Bytes data = noise(64 * 2048, 1);
  SaveRequest saving;
  saving.tag = "t";
  LoadRequest request;
  request.devices.staging = staging_.get();
  std::vector<std::unique_ptr<gpu::OnDevice>> there;
  for (uint32_t i = 0; i < 4; ++i) {
    const std::string name = "w" + std::to_string(i);
    saving.tensors.push_back(cut(name, shape, data, 0, 1, false)[0]);
    const auto scope = gpu::must(gpu::DeviceScope::enter(i));
    there.push_back(std::make_unique<gpu::OnDevice>(data.size()));
    request.targets.push_back(
        {name, Dtype::kBF16, shape, whole_box(shape), there.back()->data(), {}, i});
  }
  ASSERT_TRUE(save(*store_, saving));
  auto checkpoint = gpu::must(open_tag(*store_, "t"));
  const auto loaded = load(*checkpoint, request);
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (uint32_t i = 0; i < 4; ++i) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(i));
    EXPECT_EQ(there[i]->content(), data) << i;
  }
  there.clear();
  staging_.reset();
  gpu::simt::clear_faults();
}

/// Others do not wait for one whose memory has run out.
TEST_F(DeviceLoadTest, AFillThatThrowsGivesItsSlotBack) {
  StagingOptions options = small_options();
  options.pinned_bytes = 0;  // two slots
  staging_ = gpu::must(open_staging(options));
  const gpu::OnDevice there(kSlab);
  TargetBox target;
  target.box = {{0}, {kSlab}};
  target.memory = {there.data(), {1}};
  target.stored = target.wanted = Dtype::kU8;
  target.item_bytes = 1;
  target.device = 0;
  const auto load = gpu::must(staging_->begin_load({staging_.get(), {}}, {target}));
  for (int turn = 0; turn < 5; ++turn) {
    StagedUnit unit;
    unit.bytes = kSlab;
    unit.box = target.box;
    unit.targets = {&target};
    const Status put =
        load->put(std::move(unit), [&](MutableBytes) -> Status { throw std::bad_alloc(); });
    EXPECT_FALSE(put);
  }
}

TEST_F(DeviceLoadTest, DamageIsToldByTagTensorPackAndOffset) {
  const Shape shape = {96, 1024};
  save_noise("run/t", shape);
  const auto packs = std::filesystem::recursive_directory_iterator(path() + "/packs");
  for (const auto& entry : packs) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(100000);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(100000);
    file.put(byte);
  }
  const gpu::OnDevice there(96 * 2048);
  LoadRequest request;
  request.devices.staging = staging_.get();
  request.targets.push_back({"w", Dtype::kBF16, shape, whole_box(shape), there.data(), {}, 0});
  auto checkpoint = gpu::must(open_tag(*store_, "run/t"));
  const auto loaded = load(*checkpoint, request);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::kCorrupt);
  for (const char* word : {"'run/t'", "'w'", "pack 'packs/", "offset "}) {
    EXPECT_NE(loaded.error().message.find(word), std::string::npos) << loaded.error().message;
  }
}

}  // namespace
}  // namespace cairn
