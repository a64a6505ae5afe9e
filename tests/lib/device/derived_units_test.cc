// A copy that is the cast of another does not cross over: the device makes it of that one, where
// both are wanted there; and everywhere else the host does. Either way what comes is what was
// saved.
#include "lib/device/derived_units.h"

#include "base/encodings/encode.h"
#include "tests/lib/device/staged_load_fixture.h"

namespace cairn {
namespace {

/// A parameter: what is rounded, and what it is rounded to.
struct Pair {
  Dtype dtype = Dtype::kBF16;
  Shape shape;
  Bytes master, weight;

  static Cast narrowing(Dtype dtype) {
    return dtype == Dtype::kBF16 ? Cast::kF32ToBf16 : Cast::kF32ToF16;
  }
  static Pair of(const Shape& shape, uint32_t seed, Dtype dtype = Dtype::kBF16) {
    Pair pair{dtype, shape, {}, {}};
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const uint64_t items = whole_box(shape).elements();
    for (uint64_t i = 0; i < items; ++i) append_le(pair.master, normal(random) * 0.02f);
    pair.round();
    return pair;
  }
  void round() {
    weight.resize(master.size() / 2);
    cast_items(narrowing(dtype), master, weight);
  }
  /// Every so many items another than it is rounded to.
  void disturb(uint64_t every) {
    for (uint64_t at = 0; at < weight.size(); at += 2 * every) weight[at] ^= 5;
  }
};

class DerivedUnitsTest : public StagedLoadFixture {
 protected:
  void save_pair(const std::string& tag, const Pair& pair,
                 const std::function<void(SaveRequest&)>& change = {}) {
    SaveRequest request;
    request.tag = tag;
    request.tensors.push_back({"master",
                               Dtype::kF32,
                               pair.shape,
                               whole_box(pair.shape),
                               pair.master.data(),
                               {},
                               0,
                               Role::kMaster,
                               "p"});
    request.tensors.push_back({"weight",
                               pair.dtype,
                               pair.shape,
                               whole_box(pair.shape),
                               pair.weight.data(),
                               {},
                               0,
                               Role::kWeight,
                               "p"});
    if (change) change(request);
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
  }

  /// Upon a tag that has nothing in common: then weights are made of masters, and these of nothing.
  void save_rounded(const std::string& tag, const Pair& pair) {
    save_pair(tag + "/0", Pair::of(pair.shape, 99, pair.dtype));
    save_pair(tag, pair, [&](SaveRequest& request) { request.base = tag + "/0"; });
    ASSERT_TRUE(copy_of(tag, kMaster).bases.empty());
    ASSERT_EQ(copy_of(tag, kWeight).encoding, Encoding::kDerived);
  }

  /// Loads both to the device. Returns how many bytes went up.
  uint64_t expect_loaded(const std::string& tag, const Pair& pair) {
    const gpu::OnDevice master(pair.master.size()), weight(pair.weight.size());
    const auto loaded =
        load_into(tag, {target_of("master", Dtype::kF32, pair.shape, master.data()),
                        target_of("weight", pair.dtype, pair.shape, weight.data())});
    EXPECT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(master.content() == pair.master) << tag;
    EXPECT_TRUE(weight.content() == pair.weight) << tag;
    return loaded ? loaded->sent_bytes : 0;
  }

  /// Targets that take all the room that is counted for them: cut, transposed, and of other dtypes.
  void expect_turned_alike(const std::string& tag, const Pair& pair) {
    const uint64_t rows = pair.shape[0];
    const Box box{{1, 1}, {rows - 2, pair.shape[1] - 2}};
    const auto row_bytes = static_cast<int64_t>(4 * rows);
    const gpu::OnDevice master(pair.master.size()), weight(pair.master.size());
    Bytes master_here(pair.master.size()), weight_here(pair.master.size());
    gpu::must(gpu::copy_up({}, master.data(), master_here));
    gpu::must(gpu::copy_up({}, weight.data(), weight_here));
    std::vector<TensorTarget> targets = {
        {"master", Dtype::kF16, pair.shape, box, master_here.data(), {2, row_bytes}},
        {"weight", Dtype::kF32, pair.shape, box, weight_here.data(), {4, row_bytes}}};
    ASSERT_TRUE(load_into(tag, targets));
    targets[0].data = master.data();
    targets[1].data = weight.data();
    targets[0].device = targets[1].device = 0;
    const auto loaded = load_into(tag, targets);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_TRUE(master.content() == master_here && weight.content() == weight_here);
  }

  Copy copy_of(const std::string& tag, size_t tensor, uint64_t chunk = 0) {
    const auto checkpoint = gpu::must(open_tag(*store_, tag));
    const PagePlan::Place place = checkpoint->plan().place(tensor, chunk);
    return gpu::must(checkpoint->page(place.page))->copies(place.entry)[0];
  }
  static constexpr size_t kMaster = 0, kWeight = 1;  // as their names are sorted
};

/// Two thirds of what the state has.
TEST_F(DerivedUnitsTest, OnlyTheMasterCrossesOver) {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    const Pair pair = Pair::of({160, 512}, 1, dtype);
    const std::string tag = "t" + std::to_string(int(dtype));
    save_rounded(tag, pair);
    gpu::in_any_order([&] { EXPECT_EQ(expect_loaded(tag, pair), pair.master.size()); });
  }
}

TEST_F(DerivedUnitsTest, ChunksOfAnyLength) {
  for (const uint64_t items : {129, 1000, 4097, 8191, 20001}) {
    const Pair pair = Pair::of({items}, static_cast<uint32_t>(items));
    const std::string tag = "t" + std::to_string(items);
    save_rounded(tag, pair);
    gpu::in_any_order(
        [&] { EXPECT_LT(expect_loaded(tag, pair), pair.master.size() + 16 * (items / 4096 + 1)); });
  }
}

TEST_F(DerivedUnitsTest, WhatIsNotAsRoundedIsCorrected) {
  for (const uint64_t every : {7, 100, 5000}) {
    Pair pair = Pair::of({160, 512}, 2);
    pair.disturb(every);
    const std::string tag = "t" + std::to_string(every);
    save_rounded(tag, pair);
    gpu::in_any_order([&] {
      const uint64_t sent = expect_loaded(tag, pair);
      EXPECT_GT(sent, pair.master.size());
      EXPECT_LT(sent, pair.master.size() + pair.weight.size()) << every;
    });
  }
}

/// The residuals are half of it: as much as it would save.
TEST_F(DerivedUnitsTest, AMasterOfItsWeightIsMadeByTheHost) {
  const Pair pair = Pair::of({160, 512}, 3);
  save_pair("t", pair, [](SaveRequest& request) { request.weights_every = 1; });
  ASSERT_EQ(copy_of("t", kMaster).encoding, Encoding::kDerived);
  EXPECT_EQ(expect_loaded("t", pair), pair.master.size() + pair.weight.size());
}

/// But where it is the weight and nothing else, it is made of it.
TEST_F(DerivedUnitsTest, AWideCopyOfWhatIsNarrowIsMadeThere) {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    Pair pair = Pair::of({160, 512}, 4, dtype);
    const bool is_bf16 = dtype == Dtype::kBF16;
    cast_items(is_bf16 ? Cast::kBf16ToF32 : Cast::kF16ToF32, pair.weight, pair.master);
    const std::string tag = "t" + std::to_string(int(dtype));
    save_pair(tag, pair, [](SaveRequest& request) { request.weights_every = 1; });
    ASSERT_EQ(copy_of(tag, kMaster).encoding, Encoding::kDerived);
    gpu::in_any_order([&] { EXPECT_EQ(expect_loaded(tag, pair), pair.weight.size()); });
  }
}

/// A chain is the host's; what is cast from its end is not.
TEST_F(DerivedUnitsTest, TheMasterMayBeMadeOfOthers) {
  Pair pair = Pair::of({160, 512}, 5);
  save_rounded("run/1", pair);
  for (size_t at = 0; at < pair.master.size(); at += 44) pair.master[at + 2] ^= 1;
  pair.round();
  save_pair("run/2", pair, [](SaveRequest& request) { request.base = "run/1"; });
  ASSERT_FALSE(copy_of("run/2", kMaster).bases.empty());
  ASSERT_EQ(copy_of("run/2", kWeight).encoding, Encoding::kDerived);
  gpu::in_any_order([&] { EXPECT_EQ(expect_loaded("run/2", pair), pair.master.size()); });
}

TEST_F(DerivedUnitsTest, GoesIntoBoxesAndStridesAndOtherDtypes) {
  const Shape shape = {60, 1000};
  Pair pair = Pair::of(shape, 6);
  pair.disturb(900);
  save_rounded("t", pair);
  const gpu::OnDevice master(pair.master.size());
  const auto expect_alike = [&](TensorTarget target, uint64_t bytes) {
    const gpu::OnDevice there{ByteSpan(Bytes(bytes, 0xee))};
    Bytes here(bytes, 0xee);
    target.data = here.data();
    ASSERT_TRUE(load_into("t", {target}));
    target.data = there.data();
    target.device = 0;
    TensorTarget part = target_of("master", Dtype::kF32, shape, master.data());
    part.box = {{2, 0}, {40, 990}};
    const auto loaded = load_into("t", {part, target});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_LE(loaded->sent_bytes, pair.master.size() * 5 / 4) << "it was made there";
    EXPECT_TRUE(there.content() == here) << target.box.text();
  };
  gpu::in_any_order([&] {
    expect_alike({"weight", Dtype::kBF16, shape, {{3, 7}, {41, 333}}, nullptr, {}}, 41 * 666);
    expect_alike({"weight", Dtype::kBF16, shape, whole_box(shape), nullptr, {2, 120}}, 60 * 2000);
    expect_alike({"weight", Dtype::kBF16, shape, whole_box(shape), nullptr, {2100, 2}}, 60 * 2100);
    expect_alike({"weight", Dtype::kF32, shape, whole_box(shape), nullptr, {}}, 60 * 4000);
    expect_alike({"weight", Dtype::kF16, shape, {{1, 5}, {40, 501}}, nullptr, {2, 120}}, 501 * 120);
  });
}

/// Whatever else wants the master, or nobody: what went up then is what each device got.
TEST_F(DerivedUnitsTest, WhereTheMasterGoesElsewhereTheHostMakesIt) {
  const Pair pair = Pair::of({160, 512}, 7);
  save_rounded("t", pair);
  const gpu::OnDevice weight(pair.weight.size()), master(pair.master.size());
  Bytes here(pair.master.size());
  const TensorTarget wanted = target_of("weight", Dtype::kBF16, pair.shape, weight.data());
  TensorTarget on_host = target_of("master", Dtype::kF32, pair.shape, here.data());
  on_host.device.reset();
  const TensorTarget beside = target_of("master", Dtype::kF32, pair.shape, master.data());
  const uint64_t both = pair.weight.size() + pair.master.size();
  EXPECT_EQ(gpu::must(load_into("t", {wanted})).sent_bytes, pair.weight.size());
  EXPECT_TRUE(weight.content() == pair.weight);
  EXPECT_EQ(gpu::must(load_into("t", {wanted, on_host})).sent_bytes, pair.weight.size());
  EXPECT_TRUE(here == pair.master);
  EXPECT_EQ(gpu::must(load_into("t", {wanted, on_host, beside})).sent_bytes, both);
  EXPECT_TRUE(weight.content() == pair.weight && master.content() == pair.master);
  if (second_device() == 0) return;
  const auto scope = gpu::must(gpu::DeviceScope::enter(second_device()));
  const gpu::OnDevice far(pair.master.size());
  TensorTarget elsewhere = target_of("master", Dtype::kF32, pair.shape, far.data());
  elsewhere.device = second_device();
  EXPECT_EQ(gpu::must(load_into("t", {wanted, elsewhere})).sent_bytes, both);
  EXPECT_TRUE(far.content() == pair.master);
}

/// Each of so many devices gets what is its own.
TEST_F(DerivedUnitsTest, HalvesOnTwoDevices) {
  const Pair pair = Pair::of({160, 512}, 8);
  save_rounded("t", pair);
  std::vector<std::unique_ptr<gpu::OnDevice>> memory;
  std::vector<TensorTarget> targets;
  for (const uint32_t device : {0u, second_device()}) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(device));
    for (const auto& [name, dtype, bytes] :
         {std::tuple("master", Dtype::kF32, 4u), std::tuple("weight", Dtype::kBF16, 2u)}) {
      memory.push_back(std::make_unique<gpu::OnDevice>(uint64_t{80 * 512} * bytes));
      targets.push_back({name,
                         dtype,
                         pair.shape,
                         {{80 * (memory.size() / 3), 0}, {80, 512}},
                         memory.back()->data(),
                         {},
                         device});
    }
  }
  EXPECT_EQ(gpu::must(load_into("t", targets)).sent_bytes, pair.master.size());
  const auto half = [](const Bytes& all, size_t i) {
    return Bytes(all.begin() + long(all.size() / 2 * i),
                 all.begin() + long(all.size() / 2 * (i + 1)));
  };
  for (size_t i = 0; i < 2; ++i) {
    const auto scope = gpu::must(gpu::DeviceScope::enter(*targets[2 * i].device));
    EXPECT_TRUE(memory[2 * i]->content() == half(pair.master, i)) << i;
    EXPECT_TRUE(memory[2 * i + 1]->content() == half(pair.weight, i)) << i;
  }
}

/// Damage all over a pack, of masters and of weights: what is said is what the host says of the
/// unit whose copy it is.
TEST_F(DerivedUnitsTest, DamageIsToldOfWhatIsDamaged) {
  Pair pair = Pair::of({8000}, 9);
  pair.disturb(300);
  save_rounded("t", pair);
  for (const auto& [tensor, name] : {std::pair(kMaster, "master"), std::pair(kWeight, "weight")}) {
    const Copy copy = copy_of("t", tensor);
    int told = 0;
    for (uint64_t at = 0; at < copy.stored_bytes; at += 1 + at / 64 * 16) {
      flip_byte(copy.offset + at);
      staging_ = gpu::must(open_staging(small_options()));
      const gpu::OnDevice master(pair.master.size()), weight(pair.weight.size());
      const auto loaded =
          load_into("t", {target_of("master", Dtype::kF32, pair.shape, master.data()),
                          target_of("weight", pair.dtype, pair.shape, weight.data())});
      flip_byte(copy.offset + at);
      if (loaded) continue;  // some coders leave bits that nobody reads
      ++told;
      const std::string& said = loaded.error().message;
      const std::string place = "offset " + std::to_string(copy.offset) + ":";
      EXPECT_TRUE(loaded.error().code == Code::kCorrupt ||
                  loaded.error().code == Code::kNewerFormat);
      EXPECT_EQ(said.find("tag 't', tensor '" + std::string(name) + "', chunk 0: pack 'packs/"), 0u)
          << said;
      EXPECT_NE(said.find(place), std::string::npos) << said << " instead of " << place;
    }
    EXPECT_GT(told, 20) << name;
  }
}

/// A chunk of which nothing tells but its digest.
TEST_F(DerivedUnitsTest, WhatTheDeviceFindsIsToldOnce) {
  const Pair pair = Pair::of({160, 512}, 10);
  save_rounded("t", pair);
  const Copy copy = copy_of("t", kMaster, 3);
  flip_byte(copy.offset + copy.stored_bytes / 2);
  const gpu::OnDevice master(pair.master.size()), weight(pair.weight.size());
  const auto loaded = load_into("t", {target_of("master", Dtype::kF32, pair.shape, master.data()),
                                      target_of("weight", pair.dtype, pair.shape, weight.data())});
  ASSERT_FALSE(loaded);
  const std::string& said = loaded.error().message;
  EXPECT_EQ(said.find("tag 't', tensor 'master', chunk 3: pack 'packs/"), 0u) << said;
  EXPECT_EQ(said.find("tag 't'", 1), std::string::npos) << said;
}

/// A lane with hardly more memory than it must have takes few of them at a time, or none.
TEST_F(DerivedUnitsTest, WhereThereIsNoRoomTheHostMakesIt) {
  const Pair pair = Pair::of({160, 512}, 11);
  save_rounded("t", pair);
  const uint64_t both = pair.master.size() + pair.weight.size();
  StagingOptions options = small_options();
  options.device_bytes = 3 * kSlab;
  uint64_t least = both, most = 0;
  for (unsigned step = 0; step < 60; ++step, options.device_bytes += kSlab / 16) {
    Lane lane = gpu::must(Lane::make(0, options));
    gpu::must(lane.begin({}));
    staging_ = gpu::must(open_staging(options));
    const uint64_t sent = expect_loaded("t", pair);
    least = std::min(least, sent);
    most = std::max(most, sent);
    if (!lane.has_room()) EXPECT_EQ(sent, both);
    expect_turned_alike("t", pair);
  }
  EXPECT_EQ(least, pair.master.size());
  EXPECT_EQ(most, both);
#ifdef CAIRN_SIMT
  staging_ = gpu::must(open_staging(small_options()));
  const gpu::OnDevice master(pair.master.size()), weight(pair.weight.size());
  gpu::simt::set_memory(0);
  const auto loaded = load_into("t", {target_of("master", Dtype::kF32, pair.shape, master.data()),
                                      target_of("weight", pair.dtype, pair.shape, weight.data())});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->notes.size(), 1u);
  EXPECT_TRUE(master.content() == pair.master && weight.content() == pair.weight);
#endif
}

#ifdef CAIRN_SIMT
/// A device that breaks at any step is told in its words.
TEST_F(DerivedUnitsTest, ADeviceThatBreaksIsTold) {
  const Pair pair = Pair::of({160, 512}, 12);
  save_rounded("t", pair);
  for (uint64_t count = 0; count < 60; count += 3) {
    staging_ = gpu::must(open_staging(small_options()));
    const gpu::OnDevice master(pair.master.size()), weight(pair.weight.size());
    gpu::simt::break_device_after(count, "broken");
    const auto loaded =
        load_into("t", {target_of("master", Dtype::kF32, pair.shape, master.data()),
                        target_of("weight", pair.dtype, pair.shape, weight.data())});
    gpu::simt::clear_faults();
    if (loaded) continue;
    EXPECT_EQ(loaded.error().code, Code::kFailed);
    EXPECT_NE(loaded.error().message.find("broken"), std::string::npos) << loaded.error().message;
  }
}
#endif

/// Units of any lengths and casts: what room is counted for each is enough for all, and no bytes
/// but theirs are touched.
TEST_F(DerivedUnitsTest, TakeNoMoreRoomThanIsCounted) {
  Lane lane = gpu::must(Lane::make(0, small_options()));
  gpu::must(lane.begin({}));
  std::mt19937 random(5);
  for (unsigned turn = 0; turn < 40; ++turn) {
    draw_schedule(turn);
    std::vector<CastUnit> units;
    std::vector<PackedCodes> codes(8);
    std::vector<Bytes> expected;
    std::vector<uint64_t> bases, places;
    Bytes slab;
    uint64_t room = 0;
    const auto append = [&](const Bytes& bytes) {
      slab.insert(slab.end(), bytes.begin(), bytes.end());
      slab.resize(round_up(slab.size(), 16), 0xa5);
      return slab.size() - round_up(bytes.size(), 16);
    };
    for (size_t i = random() % 8; i-- > 0;) {
      const auto cast = static_cast<Cast>(1 + random() % 4);
      const uint64_t count = 1 + random() % 700;
      const Bytes base = noise(count * source_bytes(cast), random());
      Bytes made(count * target_bytes(cast));
      cast_items(cast, base, made);
      bases.push_back(append(base));
      CastUnit& unit = units.emplace_back();
      unit = {nullptr, cast, made.size()};
      places.push_back(0);
      if (random() % 2 == 0) {
        Bytes residuals(made.size());
        for (size_t at = 0; at < residuals.size(); at += 1 + random() % 90) residuals[at] = 1;
        const ItemForm form = {static_cast<uint8_t>(target_bytes(cast)), true};
        apply_residuals(residuals, form, made);
        codes[units.size()] = pack_codes(residuals, form.bytes, cast_tile_items(cast));
        places.back() = append(codes[units.size()].bytes);
      }
      room += cast_room(made.size());
      expected.push_back(made);
    }
    uint8_t* const there = lane.slab(0).take(slab.size())->data;
    gpu::must(gpu::copy_up(lane.work(), there, slab));
    for (size_t i = 0; i < units.size(); ++i) {
      units[i].base = there + bases[i];
      if (codes[i + 1].bytes.empty()) continue;
      units[i].corrections = &codes[i + 1];
      units[i].codes = there + places[i];
    }
    Arena all = lane.digests(0);
    Arena arena({all.take(room + 256)->data, room});
    const auto made = cast_units(lane, arena, units);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(lane.finish());
    for (size_t i = 0; i < units.size(); ++i) {
      SCOPED_TRACE(std::to_string(turn) + ": " + std::to_string(i));
      expect_on_device((*made)[i], expected[i]);
    }
    lane.slab(0).clear();
    if (units.empty()) continue;
    Arena less({all.take(room / 8)->data, room / 8});
    EXPECT_EQ(cast_units(lane, less, units).error().code, Code::kNoSpace);
  }
}

}  // namespace
}  // namespace cairn
