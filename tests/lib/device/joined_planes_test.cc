// Chunks that are stored as planes are joined on the device that wants them, and are then what the
// host's decoder makes of them: in any order, beside others, where there is little room or none.
#include "lib/device/joined_planes.h"

#include "base/encodings/item_kernel.h"
#include "tests/lib/device/staged_load_fixture.h"

namespace cairn {
namespace {

class JoinedPlanesTest : public StagedLoadFixture {
 protected:
  /// That so many kernels have joined planes since this was last asked. A device does not tell.
  static void expect_joins([[maybe_unused]] uint64_t least, [[maybe_unused]] uint64_t most) {
#ifdef CAIRN_SIMT
    const uint64_t joins = gpu::simt::take_launches()["decode_planes"];
    EXPECT_GE(joins, least);
    EXPECT_LE(joins, most);
#endif
  }

  static constexpr uint64_t kAny = UINT64_MAX;

  /// Items of which all bytes but the highest are noise, so that planes are the smallest.
  static Bytes planar(uint64_t items, uint64_t item_bytes, uint32_t seed) {
    Bytes data = noise(items * item_bytes, seed);
    for (size_t at = item_bytes - 1; at < data.size(); at += item_bytes) data[at] %= 3;
    return data;
  }

  void save_tensor(const std::string& name, Dtype dtype, const Shape& shape, const Bytes& data) {
    SaveRequest request;
    request.tag = name;
    request.base = "none";
    request.tensors.push_back({"w", dtype, shape, whole_box(shape), data.data()});
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
  }

  /// Loads the tensor to the device, which takes so many kernels that join planes.
  void expect_loaded(const std::string& tag, Dtype dtype, const Shape& shape, const Bytes& data,
                     uint64_t joins) {
    const gpu::OnDevice there(data.size());
    expect_joins(0, kAny);
    const auto loaded = load_into(tag, {target_of("w", dtype, shape, there.data())}, false);
    EXPECT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(there.content() == data) << tag;
    expect_joins(joins, joins);
  }

  /// A store of chunks that are larger than a block, and slabs for them.
  void use_large_chunks() {
    Config config;
    config.chunk_elements = uint64_t{1} << 17;
    const std::string folder = path() + "-large";
    ASSERT_TRUE(Store::init(posix_fs(), folder, config));
    store_ = *Store::open(posix_fs(), folder);
    StagingOptions options = small_options();
    options.slab_bytes = uint64_t{1} << 20;
    options.pinned_bytes = 2 * options.slab_bytes;
    options.device_bytes = 8 * options.slab_bytes;
    staging_ = gpu::must(open_staging(options));
  }
};

TEST_F(JoinedPlanesTest, ItemsOfEveryWidthAndLength) {
  use_large_chunks();
  struct Case {
    Dtype dtype;
    uint64_t item_bytes;
  };
  for (const auto& [dtype, item_bytes] : {Case{Dtype::kU8, 1},
                                          {Dtype::kBF16, 2},
                                          {Dtype::kI16, 2},
                                          {Dtype::kF32, 4},
                                          {Dtype::kI64, 8},
                                          {Dtype::kC64, 8}}) {
    for (const uint64_t items : {3000, 65536, 65536 + 4097}) {
      const std::string tag = std::to_string(int(dtype)) + "/" + std::to_string(items);
      const Bytes data = planar(items, item_bytes, static_cast<uint32_t>(items));
      save_tensor(tag, dtype, {items}, data);
      gpu::in_any_order([&, dtype = dtype, item_bytes = item_bytes] {
        expect_loaded(tag, dtype, {items}, data, item_bytes == 1 ? 0 : 1);
      });
    }
  }
}

TEST_F(JoinedPlanesTest, GoIntoBoxesAndStridesAndOtherDtypes) {
  const Shape shape = {60, 1000};
  save_tensor("t", Dtype::kBF16, shape, planar(60000, 2, 1));
  const auto expect_alike = [&](TensorTarget target, uint64_t bytes) {
    const gpu::OnDevice there{ByteSpan(Bytes(bytes, 0xee))};
    Bytes on_host(bytes, 0xee);
    target.data = on_host.data();
    ASSERT_TRUE(load_into("t", {target}));
    target.data = there.data();
    target.device = 0;
    expect_joins(0, kAny);
    ASSERT_TRUE(load_into("t", {target}));
    expect_joins(1, kAny);
    EXPECT_TRUE(there.content() == on_host) << target.box.text();
  };
  gpu::in_any_order([&] {
    expect_alike({"w", Dtype::kBF16, shape, {{3, 7}, {41, 333}}, nullptr, {}}, 41 * 666);
    expect_alike({"w", Dtype::kBF16, shape, whole_box(shape), nullptr, {2, 120}}, 60 * 2000);
    expect_alike({"w", Dtype::kF32, shape, whole_box(shape), nullptr, {}}, 60 * 4000);
    expect_alike({"w", Dtype::kF32, shape, {{1, 5}, {40, 501}}, nullptr, {4, 240}}, 501 * 240);
  });
}

/// Of two widths, raw and zeros, chunks side by side in slabs that are too small for most.
TEST_F(JoinedPlanesTest, LieInSlabsBesideOthers) {
  struct Part {
    std::string name;
    Dtype dtype;
    Bytes data;
  };
  std::vector<Part> parts;
  for (uint32_t i = 0; i < 4; ++i) {
    const std::string number = std::to_string(i);
    parts.push_back({"half" + number, Dtype::kBF16, planar(20001, 2, i)});
    parts.push_back({"noise" + number, Dtype::kBF16, noise(40002, i)});
    parts.push_back({"float" + number, Dtype::kF32, planar(9001, 4, i)});
    parts.push_back({"zero" + number, Dtype::kF32, Bytes(4 * 9001)});
  }
  SaveRequest saving;
  saving.tag = "t";
  for (const Part& part : parts) {
    const Shape shape = {part.data.size() / (part.dtype == Dtype::kF32 ? 4 : 2)};
    saving.tensors.push_back({part.name, part.dtype, shape, whole_box(shape), part.data.data()});
  }
  ASSERT_TRUE(save(*store_, saving));
  gpu::in_any_order([&] {
    std::vector<std::unique_ptr<gpu::OnDevice>> there;
    std::vector<TensorTarget> targets;
    for (const TensorSource& tensor : saving.tensors) {
      there.push_back(std::make_unique<gpu::OnDevice>(parts[there.size()].data.size()));
      targets.push_back(
          {tensor.name, tensor.dtype, tensor.shape, tensor.box, there.back()->data(), {}, 0});
    }
    expect_joins(0, kAny);
    const auto loaded = load_into("t", targets);
    ASSERT_TRUE(loaded) << loaded.error().message;
    expect_joins(3, kAny);
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_TRUE(there[i]->content() == parts[i].data) << parts[i].name;
    }
  });
}

/// The least memory of a device that a lane does with.
uint64_t least_device_bytes(StagingOptions options) {
  for (;; options.device_bytes += 4096) {
    Lane lane = gpu::must(Lane::make(0, options));
    gpu::must(lane.begin({}));
    if (lane.has_room()) return options.device_bytes;
  }
}

TEST_F(JoinedPlanesTest, WhereTheDeviceHasNoRoomForItemsTheHostJoins) {
  StagingOptions options = small_options();
  options.device_bytes = 3 * kSlab;
  options.device_bytes = least_device_bytes(options);
  staging_ = gpu::must(open_staging(options));
  // Eight chunks each, of which slabs have room for one of halves and none of longs.
  const Bytes halves = planar(40000, 2, 1), longs = planar(40000, 8, 2);
  save_tensor("halves", Dtype::kBF16, {40000}, halves);
  save_tensor("longs", Dtype::kI64, {40000}, longs);
  gpu::in_any_order([&] {
    expect_loaded("halves", Dtype::kBF16, {40000}, halves, 8);
    expect_loaded("longs", Dtype::kI64, {40000}, longs, 0);
  });
}

#ifdef CAIRN_SIMT
TEST_F(JoinedPlanesTest, WithoutMemoryOfTheDeviceTheHostJoins) {
  const Bytes data = planar(40000, 2, 1);
  save_tensor("t", Dtype::kBF16, {40000}, data);
  const gpu::OnDevice there(data.size());
  gpu::simt::set_memory(0);
  gpu::simt::take_launches();
  ASSERT_TRUE(load_into("t", {{"w", Dtype::kBF16, {40000}, {{0}, {40000}}, there.data(), {}, 0}}));
  EXPECT_TRUE(gpu::simt::take_launches().empty());
  EXPECT_TRUE(there.content() == data);
}
#endif

/// The host checks what it keeps a copy of, and for that it must have the items.
TEST_F(JoinedPlanesTest, WhatTheHostWantsTooIsJoinedByIt) {
  const Shape shape = {40000};
  const Bytes data = planar(40000, 2, 1);
  save_tensor("t", Dtype::kBF16, shape, data);
  const gpu::OnDevice there(data.size());
  Bytes here(data.size());
  expect_joins(0, kAny);
  ASSERT_TRUE(load_into("t", {{"w", Dtype::kBF16, shape, whole_box(shape), there.data(), {}, 0},
                              {"w", Dtype::kBF16, shape, whole_box(shape), here.data(), {}}}));
  expect_joins(0, 0);
  EXPECT_TRUE(there.content() == data);
  EXPECT_TRUE(here == data);
}

TEST_F(JoinedPlanesTest, ChainsAreDecodedByTheHost) {
  const Shape shape = {40000};
  Bytes data = planar(40000, 2, 1);
  save_tensor("run/1", Dtype::kBF16, shape, data);
  for (size_t at = 0; at < data.size(); at += 1000) data[at] ^= 1;
  SaveRequest request;
  request.tag = "run/2";
  request.base = "run/1";
  request.tensors.push_back({"w", Dtype::kBF16, shape, whole_box(shape), data.data()});
  ASSERT_TRUE(save(*store_, request));
  expect_loaded("run/2", Dtype::kBF16, shape, data, 0);
}

/// Damage that does not decode, and damage that decodes to something else, all over a pack: a load
/// to a device says the same as one to the host.
TEST_F(JoinedPlanesTest, DamageIsToldAsByTheHost) {
  const Shape shape = {8000};
  const Bytes data = planar(8000, 2, 1);
  save_tensor("t", Dtype::kBF16, shape, data);
  Bytes here(data.size());
  const gpu::OnDevice there(data.size());
  const uint64_t size = std::filesystem::file_size(newest_pack());
  int told = 0;
  for (uint64_t at = 0; at < size; at = at < 5000 ? at + 1 + at / 64 * 16 : at + 601) {
    flip_byte(at);
    staging_ = gpu::must(open_staging(small_options()));
    const auto on_host =
        load_into("t", {{"w", Dtype::kBF16, shape, whole_box(shape), here.data(), {}}});
    const auto on_device = load_into("t", {target_of("w", Dtype::kBF16, shape, there.data())});
    flip_byte(at);
    ASSERT_EQ(on_host.has_value(), on_device.has_value()) << at;
    if (on_host) continue;
    ++told;
    EXPECT_EQ(on_host.error().code, on_device.error().code) << at;
    EXPECT_EQ(on_host.error().message, on_device.error().message) << at;
    for (const char* word : {"tag 't', tensor 'w', chunk 0: pack 'packs/", "offset "}) {
      EXPECT_NE(on_device.error().message.find(word), std::string::npos)
          << on_device.error().message;
    }
  }
  EXPECT_GT(told, 20);
}

Bytes split(const Bytes& items, unsigned item_bytes) {
  Bytes planes(items.size());
  const size_t count = items.size() / item_bytes;
  item_kernel().split(items.data(), count, item_bytes, planes.data(), count);
  return planes;
}

/// Units of any widths and lengths: what room is counted for each is enough for all, and no bytes
/// but theirs are touched.
TEST_F(JoinedPlanesTest, TakeNoMoreRoomThanIsCounted) {
  Lane lane = gpu::must(Lane::make(0, small_options()));
  gpu::must(lane.begin({}));
  std::mt19937 random(5);
  for (unsigned turn = 0; turn < 60; ++turn) {
    draw_schedule(turn);
    Bytes slab;
    std::vector<LandedUnit> units;
    std::vector<Bytes> contents;
    uint64_t room = 0;
    for (unsigned left = random() % 9; left > 0; --left) {
      const unsigned item_bytes = random() % 4 == 0 ? 0 : 2u << random() % 3;
      const Bytes items = noise((1 + random() % 200) * std::max(item_bytes, 1u), random());
      units.push_back({slab.size(), items.size(), item_bytes});
      append_bytes(slab, item_bytes == 0 ? items : split(items, item_bytes));
      slab.resize(round_up(slab.size(), 16), 0xa5);
      if (item_bytes > 0) room += joined_room(items.size());
      contents.push_back(items);
    }
    const gpu::OnDevice there{ByteSpan(slab)}, work(room + 16);
    Arena arena({work.data(), room});
    const auto joined = join_landed(lane, arena, there.span(), units);
    ASSERT_TRUE(joined) << joined.error().message;
    ASSERT_TRUE(lane.finish());
    for (size_t i = 0; i < units.size(); ++i) {
      SCOPED_TRACE(std::to_string(turn) + ": " + std::to_string(i));
      expect_on_device((*joined)[i], contents[i]);
    }
    EXPECT_TRUE(there.content() == slab) << "the slab is as it was";
    if (room == 0) continue;
    Arena less({work.data(), room / 4});
    EXPECT_EQ(join_landed(lane, less, there.span(), units).error().code, Code::kNoSpace);
  }
}

}  // namespace
}  // namespace cairn
