#include "gpu/transform_plan.h"

#include "tests/gpu/transform_fixture.h"

namespace cairn::gpu {
namespace {

constexpr Coding kCodings[] = {Coding::kPlanes, Coding::kSparse, Coding::kQuads};
constexpr Prediction kPlain[] = {Prediction::kItself, Prediction::kDifference, Prediction::kXor};
#ifdef CAIRN_SIMT_TSAN  // which takes a tenth of a second for each tile
constexpr size_t kShort[] = {1040};
constexpr size_t kAroundTiles[] = {1};
constexpr ItemForm kForms[] = {{1, false}, {4, true}};
#else
constexpr size_t kShort[] = {0, 1, 3, 7, 8, 9, 16, 17, 33, 100, 1040};
constexpr size_t kAroundTiles[] = {0, 1, 2};
constexpr auto& kForms = kItemForms;
#endif

HostChunk plain_chunk(ItemForm form, size_t count, const Difference& difference, unsigned seed) {
  HostChunk chunk;
  chunk.bases = {make_prediction(count, form, seed)};
  chunk.items = make_items(chunk.bases[0], form, difference, seed + 1);
  return chunk;
}

/// Of every short length, and around the end of a tile.
std::vector<HostChunk> short_chunks(ItemForm form) {
  std::vector<HostChunk> chunks;
  unsigned seed = 1;
  const auto add = [&](size_t count) {
    const auto& difference = kDifferences[seed % std::size(kDifferences)];
    chunks.push_back(plain_chunk(form, count, difference, seed++));
  };
  for (const size_t count : kShort) add(count);
  for (const size_t more : kAroundTiles) add(kTileBytes / form.bytes - 1 + more);
  return chunks;
}

TEST(Transform, OfEveryFormAndLength) {
  for (const ItemForm form : kForms) {
    const std::vector<HostChunk> chunks = short_chunks(form);
    for (const Prediction prediction : kPlain) {
      if (form.is_float && prediction != Prediction::kDifference) continue;
      for (const Coding coding : kCodings) {
        SCOPED_TRACE(form_name(form) + ", prediction " + std::to_string(int(prediction)) +
                     ", coding " + std::to_string(int(coding)));
        ASSERT_NO_FATAL_FAILURE(expect_round_trip({prediction, coding, form}, chunks));
      }
    }
  }
}

/// More tiles than one multiprocessor has blocks, so some blocks take several.
TEST(Transform, InAnyOrder) {
  std::vector<HostChunk> chunks;
  for (unsigned i = 0; i < 11; ++i) {
    chunks.push_back(plain_chunk({2, true}, 200 + 97 * i, {"30 %", 0.3, 3}, i));
  }
  for (const Coding coding : kCodings) {
    const Transform transform{Prediction::kDifference, coding, {2, true}};
    in_any_order([&] { expect_round_trip(transform, chunks, Share{1}); });
  }
}

#ifndef CAIRN_SIMT_TSAN

TEST(Transform, AroundTheEndsOfBlocks) {
  for (const ItemForm form : {ItemForm{1, false}, ItemForm{2, true}, {4, true}, {8, false}}) {
    std::vector<HostChunk> chunks;
    for (const size_t count : {65535, 65537, 65536 + 4096 + 16}) {
      chunks.push_back(plain_chunk(form, count, {"5 %", 0.05, 4}, unsigned(count)));
    }
    for (const Coding coding : kCodings) {
      SCOPED_TRACE(form_name(form) + ", coding " + std::to_string(int(coding)));
      ASSERT_NO_FATAL_FAILURE(expect_round_trip({Prediction::kDifference, coding, form}, chunks));
    }
  }
}

TEST(Transform, OfEveryDifference) {
  for (const ItemForm form : kItemForms) {
    std::vector<HostChunk> chunks;
    for (const Difference& difference : kDifferences) {
      chunks.push_back(plain_chunk(form, 3000, difference, 7));
    }
    for (const Coding coding : {Coding::kSparse, Coding::kQuads}) {
      ASSERT_NO_FATAL_FAILURE(expect_round_trip({Prediction::kDifference, coding, form}, chunks));
    }
  }
}

TEST(Transform, OfManyChunksOnFewMultiprocessors) {
  std::vector<HostChunk> chunks;
  for (unsigned i = 0; i < 2500; ++i) {  // most are empty
    const size_t count = i % 31 == 7 || i > 2480 ? 1 + i * 37 % 41 : 0;
    chunks.push_back(plain_chunk({2, true}, count, {"30 %", 0.3, 3}, i));
  }
  const Transform transform{Prediction::kDifference, Coding::kQuads, {2, true}};
  expect_round_trip(transform, chunks, Share{1});
  expect_round_trip(transform, chunks, Share{3});
}

#endif

TEST(Transform, OfEveryCast) {
#ifdef CAIRN_SIMT_TSAN
  constexpr size_t kCounts[] = {1027};
#else
  constexpr size_t kCounts[] = {0, 1, 3, 4, 5, 7, 8, 9, 100, 1027, 4096 + 3};
#endif
  for (const Cast cast : {Cast::kF32ToBf16, Cast::kBf16ToF32, Cast::kF32ToF16, Cast::kF16ToF32}) {
    const ItemForm form{static_cast<uint8_t>(target_bytes(cast)), true};
    std::vector<HostChunk> chunks;
    for (const size_t count : kCounts) {
      HostChunk chunk;
      const ItemForm base_form{static_cast<uint8_t>(source_bytes(cast)), true};
      chunk.bases = {make_prediction(count, base_form, unsigned(count))};
      Bytes exact(count * form.bytes);
      cast_items(cast, chunk.bases[0], exact);
      chunk.items = make_items(exact, form, {"1 %", 0.01, 2}, 3);
      chunks.push_back(std::move(chunk));
    }
    for (const Coding coding : kCodings) {
      SCOPED_TRACE("cast " + std::to_string(int(cast)) + ", coding " + std::to_string(int(coding)));
      ASSERT_NO_FATAL_FAILURE(
          expect_round_trip({Prediction::kDerived, coding, form, cast}, chunks));
    }
  }
}

#ifndef CAIRN_SIMT_TSAN
TEST(Transform, HalvesOfEveryBitPatternAreCast) {
  Bytes halves;
  for (uint32_t bits = 0; bits < 65536; ++bits) append_le(halves, static_cast<uint16_t>(bits));
  for (const Cast cast : {Cast::kBf16ToF32, Cast::kF16ToF32}) {
    const std::vector<HostChunk> chunks = {{Bytes(4 * 65536), {halves}}};
    expect_round_trip({Prediction::kDerived, Coding::kPlanes, {4, true}, cast}, chunks);
  }
}
#endif

TEST(Transform, TheBaseMayBeTheItems) {
  const ItemForm form{2, true};
  const std::vector<HostChunk> chunks = {plain_chunk(form, 9001, {"5 %", 0.05, 4}, 1)};
  const Transform transform{Prediction::kDifference, Coding::kQuads, form};
  ChunksOnDevice device(chunks, form.bytes);
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const CodedOnDevice made(plan);
  must(encode({}, plan, OnDevice(plan.image()).span(), made.spans()));
  TransformChunk in_place = device.chunks()[0];
  must(copy_up({}, in_place.items, chunks[0].bases[0]));
  in_place.bases[0] = in_place.items;
  const TransformPlan back = must(TransformPlan::make(transform, std::span(&in_place, 1)));
  must(decode({}, back, OnDevice(back.image()).span(), made.spans()));
  EXPECT_EQ(device.content(), device.first_content());
}

/// Three tiles of two-byte items, half of them larger than any code.
class Slab : public testing::TestWithParam<Coding> {
 protected:
  Slab()
      : transform_{Prediction::kDifference, GetParam(), {2, true}},
        chunks_{plain_chunk({2, true}, 20000, {"dense", 0.5, 0}, 1)},
        device_(chunks_, 2),
        plan_(must(TransformPlan::make(transform_, device_.chunks()))),
        image_(plan_.image()) {}

  const Transform transform_;
  const std::vector<HostChunk> chunks_;
  ChunksOnDevice device_;
  const TransformPlan plan_;
  const OnDevice image_;
};

TEST_P(Slab, ThatIsFullIsNotWrittenBeyond) {
  CodedOnDevice whole(plan_);
  must(encode({}, plan_, image_.span(), whole.spans()));
  const uint64_t needed = whole.state_now().slab_bytes;
  const Bytes codes = whole.coded.content();
  for (const uint64_t room : {uint64_t{0}, uint64_t{15}, uint64_t{9000}, needed - 1, needed}) {
    CodedOnDevice made(plan_, needed + 4096);
    must(copy_up({}, made.slab.data(), Bytes(needed + 4096, 0xa5)));
    CodedSpans spans = made.spans();
    spans.slab.bytes = room;
    must(encode({}, plan_, image_.span(), spans));
    EXPECT_EQ(made.state_now().slab_bytes, needed);
    EXPECT_EQ(made.coded.content(), codes);
    const Bytes slab = made.slab.content();
    for (size_t i = room; i < slab.size(); ++i) ASSERT_EQ(slab[i], 0xa5) << i << " of " << room;
    if (room == needed) expect_coded(transform_, chunks_, plan_, made);
  }
}

TEST_P(Slab, IsFilledByOneCallAfterTheOther) {
  CodedOnDevice made(plan_, 2 * plan_.slab_bytes_most()), second(plan_, 0);
  CodedSpans spans = made.spans();
  must(encode({}, plan_, image_.span(), spans));
  const uint64_t once = made.state_now().slab_bytes;
  spans.coded = second.coded.span();
  spans.runs = second.runs.span();
  must(encode({}, plan_, image_.span(), spans));
  EXPECT_EQ(made.state_now().slab_bytes, 2 * once);
  expect_coded(transform_, chunks_, plan_, made);
  device_.spoil_items(chunks_);
  must(decode({}, plan_, image_.span(), spans));
  EXPECT_EQ(device_.content(), device_.first_content());
}

#ifndef CAIRN_SIMT_TSAN
TEST_P(Slab, HostileRunsAreDamageAndNoItemOfTheirTileIsWritten) {
  CodedOnDevice made(plan_);
  must(encode({}, plan_, image_.span(), made.spans()));
  const uint64_t used = made.state_now().slab_bytes;
  const std::vector<EscapedRun> sound = made.runs_now();
  const std::vector<EscapedRun> hostile = {
      {used, sound[1].count},  // behind the slab
      {~uint64_t{0} - 15, sound[1].count},
      {uint64_t{1} << 63, sound[1].count},
      {sound[1].offset + 1, sound[1].count},  // between places
      {used - 16, sound[1].count},            // across the end
      {sound[1].offset, sound[1].count + 1},
      {sound[1].offset, sound[1].count - 1},
      {sound[1].offset, ~uint64_t{0}},
      {0, 0},
  };
  for (const EscapedRun& run : hostile) {
    std::vector<EscapedRun> runs = sound;
    runs[1] = run;
    must(copy_up({}, made.runs.data(), as_bytes(runs.data(), runs.size() * sizeof run)));
    device_.spoil_items(chunks_);
    must(fill_zeros({}, made.state.data(), sizeof(TransformState)));
    CodedSpans spans = made.spans();
    spans.slab.bytes = used;
    must(decode({}, plan_, image_.span(), spans));
    EXPECT_NE(made.state_now().damaged, 0u) << run.offset << " " << run.count;
    Bytes expected = chunks_[0].items;
    std::fill_n(expected.begin() + kTileBytes, size_t{kTileBytes}, uint8_t{0x5a});
    EXPECT_EQ(device_.content(device_.chunks()[0].items, expected.size()), expected);
  }
}

TEST_P(Slab, HostileCodesAreDamage) {
  CodedOnDevice made(plan_);
  must(encode({}, plan_, image_.span(), made.spans()));
  CodedSpans spans = made.spans();
  spans.slab.bytes = made.state_now().slab_bytes;
  for (const uint8_t byte : {0x00, 0xff}) {
    must(copy_up({}, made.coded.data(), Bytes(plan_.coded_bytes(), byte)));
    must(fill_zeros({}, made.state.data(), sizeof(TransformState)));
    must(decode({}, plan_, image_.span(), spans));
    EXPECT_NE(made.state_now().damaged, 0u);
  }
}
#endif

INSTANTIATE_TEST_SUITE_P(OfCoding, Slab, testing::Values(Coding::kSparse, Coding::kQuads));

TEST(TransformPlan, CountsInSixtyFourBits) {
  auto* const somewhere = reinterpret_cast<uint8_t*>(uintptr_t{4096});
  const uint64_t count = (uint64_t{1} << 33) + 1;
  const std::vector<TransformChunk> chunks = {{somewhere, count}, {somewhere, count}};
  const Transform transform{Prediction::kItself, Coding::kQuads, {2, true}};
  const TransformPlan plan = must(TransformPlan::make(transform, chunks));
  EXPECT_EQ(plan.items(), 2 * count);
  EXPECT_EQ(plan.tiles(), 2 * ((count + 8191) / 8192));
  EXPECT_EQ(plan.coded_offset(1), (uint64_t{1} << 31) + 16);
  EXPECT_EQ(plan.image().size(), TransformPlan::image_bytes(2));
}

/// Planes lie where chunks say, with what they do not touch between them.
TEST(TransformPlan, ChunksSayWhereTheirCodesAre) {
  const ItemForm form{4, true};
  const std::vector<HostChunk> chunks = {plain_chunk(form, 77, {"all", 1, 2}, 1),
                                         plain_chunk(form, 5, {"all", 1, 2}, 2),
                                         plain_chunk(form, 300, {"all", 1, 2}, 3)};
  ChunksOnDevice device(chunks, form.bytes);
  device.chunks()[0].coded = 2000;
  device.chunks()[1].coded = 16;
  Bytes expected(2320 + 1200, 0xa5);
  const auto put = [&](size_t chunk, size_t at) {
    const Bytes planes = expected_planes(chunks[chunk].items, form.bytes);
    std::copy(planes.begin(), planes.end(), expected.begin() + static_cast<ptrdiff_t>(at));
  };
  put(0, 2000), put(1, 16), put(2, 2320);
  const Transform itself{Prediction::kItself, Coding::kPlanes, form};
  const TransformPlan plan = must(TransformPlan::make(itself, device.chunks()));
  EXPECT_EQ(plan.coded_offset(2), 2320u) << "behind all before";
  ASSERT_EQ(plan.coded_bytes(), expected.size());
  const OnDevice image(plan.image()), coded{ByteSpan(Bytes(expected.size(), 0xa5))};
  must(encode({}, plan, image.span(), {coded.span(), {}, {}, {}}));
  EXPECT_EQ(coded.content(), expected);
  device.spoil_items(chunks);
  must(decode({}, plan, image.span(), {coded.span(), {}, {}, {}}));
  EXPECT_EQ(device.content(), device.first_content());
}

TEST(TransformPlan, RefusesWhatCanNotBe) {
  auto* const there = reinterpret_cast<uint8_t*>(uintptr_t{4096});
  const auto refused = [](const Transform& transform, const TransformChunk& chunk) {
    const auto plan = TransformPlan::make(transform, std::span(&chunk, 1));
    return !plan && plan.error().code == Code::kUsage;
  };
  const Transform itself{Prediction::kItself, Coding::kPlanes, {2, true}};
  const Transform difference{Prediction::kDifference, Coding::kPlanes, {2, true}};
  EXPECT_FALSE(refused(itself, {there, 1}));
  EXPECT_FALSE(refused(difference, {there, 1, {there}}));
  EXPECT_FALSE(refused(difference, {nullptr, 0}));
  EXPECT_TRUE(refused(itself, {nullptr, 1}));
  EXPECT_TRUE(refused(itself, {there + 8, 1}));
  EXPECT_TRUE(refused(difference, {there, 1}));
  EXPECT_TRUE(refused(difference, {there, 1, {there + 2}}));
  EXPECT_TRUE(refused(itself, {there, uint64_t{1} << 50}));
  EXPECT_TRUE(refused(itself, {there, ~uint64_t{0}}));
  EXPECT_FALSE(refused(itself, {there, 1, {}, nullptr, 0, 16}));
  EXPECT_TRUE(refused(itself, {there, 1, {}, nullptr, 0, 8}));
  EXPECT_TRUE(refused(itself, {there, 1, {}, nullptr, 0, ~uint64_t{15}}));
  EXPECT_TRUE(refused({Prediction::kItself, Coding::kPlanes, {3, false}}, {there, 1}));
  EXPECT_TRUE(refused({Prediction::kDerived, Coding::kPlanes, {4, true}, Cast::kF32ToF16},
                      {there, 1, {there}}));
  EXPECT_TRUE(refused({Prediction::kDerived, Coding::kPlanes, {4, true}, static_cast<Cast>(9)},
                      {there, 1, {there}}));
  // Casts and programs make floats.
  EXPECT_TRUE(refused({Prediction::kDerived, Coding::kPlanes, {2, false}, Cast::kF32ToBf16},
                      {there, 1, {there}}));
  EXPECT_TRUE(refused({Prediction::kItself, static_cast<Coding>(3), {2, true}}, {there, 1}));
  EXPECT_TRUE(refused({static_cast<Prediction>(5), Coding::kPlanes, {2, true}}, {there, 1}));
}

TEST(TransformPlan, AStateThatWasNotClearedWritesNothingOutsideTheSlab) {
  const std::vector<HostChunk> chunks = {plain_chunk({2, true}, 1000, {"all", 1, 2}, 1)};
  ChunksOnDevice device(chunks, 2);
  const Transform transform{Prediction::kItself, Coding::kSparse, {2, true}};
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const OnDevice image(plan.image());
  const CodedOnDevice made(plan);
  const uint64_t top = ~uint64_t{0} - 63;
  must(copy_up({}, made.spans().state.data, as_bytes(&top, sizeof top)));
  must(encode({}, plan, image.span(), made.spans()));
  must(synchronize({}));
}

TEST(TransformPlan, CallsRefuseWhatIsTooSmall) {
  const std::vector<HostChunk> chunks = {plain_chunk({2, true}, 100, {"1 %", 0.01, 2}, 1)};
  ChunksOnDevice device(chunks, 2);
  const Transform transform{Prediction::kDifference, Coding::kQuads, {2, true}};
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const OnDevice image(plan.image()), counts(plan.counts_bytes());
  const CodedOnDevice made(plan);
  const auto is_usage = [](const Status& status) {
    return !status && status.error().code == Code::kUsage;
  };
  for (DeviceSpan CodedSpans::*span : {&CodedSpans::coded, &CodedSpans::runs, &CodedSpans::state}) {
    CodedSpans spans = made.spans();
    --(spans.*span).bytes;
    EXPECT_TRUE(is_usage(encode({}, plan, image.span(), spans)));
    EXPECT_TRUE(is_usage(decode({}, plan, image.span(), spans)));
  }
  CodedSpans spans = made.spans();
  spans.slab.data += 8;
  EXPECT_TRUE(is_usage(encode({}, plan, image.span(), spans)));
  const DeviceSpan less{image.data(), plan.image().size() - 1};
  EXPECT_TRUE(is_usage(encode({}, plan, less, made.spans())));
  const Bytes before = counts.content();
  EXPECT_TRUE(is_usage(count_residuals({}, plan, less, counts.span())));
  EXPECT_EQ(counts.content(), before);
  EXPECT_TRUE(is_usage(count_residuals({}, plan, image.span(), {counts.data(), 8})));
  EXPECT_TRUE(is_usage(find_gradients({}, plan, less)));
}

TEST(TransformPlan, OfNothing) {
  expect_round_trip({Prediction::kItself, Coding::kQuads, {4, true}}, {});
  expect_round_trip({Prediction::kItself, Coding::kPlanes, {4, true}}, std::vector<HostChunk>(3));
}

#ifndef CAIRN_SIMT
TEST(Transform, OfMoreThanTwoBillionItems) {
  const uint64_t count = (uint64_t{1} << 31) + 70001;
  const OnDevice memory(count);
  must(fill_zeros({}, memory.data(), count));
  must(copy_up({}, memory.data() + count - 1, Bytes{2}));
  const TransformChunk chunk{memory.data(), count};
  const Transform transform{Prediction::kItself, Coding::kSparse, {1, false}};
  const TransformPlan plan = must(TransformPlan::make(transform, std::span(&chunk, 1)));
  const OnDevice image(plan.image()), counts(plan.counts_bytes());
  must(count_residuals({}, plan, image.span(), counts.span()));
  ChunkCounts met;
  std::memcpy(&met, counts.content().data(), sizeof met);
  EXPECT_EQ(met.zeros, count - 1);
  EXPECT_EQ(met.twos, 1u);
  const CodedOnDevice made(plan, 4096);
  must(encode({}, plan, image.span(), made.spans()));
  EXPECT_EQ(made.runs_now().back().count, 1u);
  EXPECT_EQ(made.state_now().slab_bytes, 16u);
  must(copy_up({}, memory.data() + count - 1, Bytes{7}));
  must(decode({}, plan, image.span(), made.spans()));
  Bytes last(1);
  must(copy_down({}, last, memory.data() + count - 1));
  must(synchronize({}));
  EXPECT_EQ(last[0], 2);
}
#endif

}  // namespace
}  // namespace cairn::gpu
