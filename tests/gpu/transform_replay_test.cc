// Replay on a device: predictions by every program, and the gradients found for them.
#include <array>

#include "base/replay/gradient.h"
#include "base/replay/rules.h"
#include "tests/base/replay/adam_step.h"
#include "tests/base/replay/gradient_step.h"
#include "tests/gpu/transform_fixture.h"

namespace cairn::gpu {
namespace {

constexpr Coding kCodings[] = {Coding::kPlanes, Coding::kSparse, Coding::kQuads};
constexpr uint32_t kOdd[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff,
                             0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0x7f800000,
                             0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0x3f808000};

/// Bits of an F32: any, often odd ones, sometimes of sizes that meet.
uint32_t random_float(std::mt19937& random) {
  auto bits = static_cast<uint32_t>(random());
  if (random() % 4 == 0) bits = kOdd[random() % std::size(kOdd)];
  if (random() % 3 == 0) bits = (bits & 0x80ffffff) | 0x3e000000;
  return bits;
}

Bytes random_items(std::mt19937& random, ReplayDtype dtype, size_t count) {
  Bytes floats, items(count * item_bytes(dtype));
  for (size_t i = 0; i < count; ++i) append_le(floats, random_float(random));
  if (dtype == ReplayDtype::kF32) return floats;
  cast_items(dtype == ReplayDtype::kBf16 ? Cast::kF32ToBf16 : Cast::kF32ToF16, floats, items);
  return items;
}

ReplayParameters random_parameters(std::mt19937& random, ReplayRule rule, uint8_t variant,
                                   const ReplayProgram& program, ReplayDtype result) {
  ReplayParameters parameters{rule, variant, result, {}, {}};
  for (size_t i = 0; i < program.bases; ++i) {
    parameters.bases[i] = static_cast<ReplayDtype>(random() % 3);
  }
  for (size_t i = 0; i < program.words(); ++i) parameters.scalars.push_back(random_float(random));
  return parameters;
}

/// Items near their prediction.
HostChunk random_chunk(std::mt19937& random, const Transform& transform, uint32_t program,
                       size_t count) {
  const Predictor predictor(transform.programs[program]);
  HostChunk chunk;
  chunk.program = program;
  for (size_t i = 0; i < predictor.program().bases; ++i) {
    chunk.bases.push_back(random_items(random, predictor.input_dtype(i), count));
  }
  if (predictor.program().has_gradient) {
    chunk.gradient = random_items(random, ReplayDtype::kBf16, count);
  }
  chunk.items.resize(count * transform.form.bytes);
  chunk.items = make_items(expected_prediction(transform, chunk), transform.form, {"1 %", 0.01, 2},
                           static_cast<unsigned>(random()));
  return chunk;
}

/// All rules in all variants, with results in one of the dtypes.
Transform every_program(std::mt19937& random, Coding coding, unsigned result_bytes) {
  Transform transform{Prediction::kReplay, coding, {static_cast<uint8_t>(result_bytes), true}};
  for (unsigned number = 1; number < 256; ++number) {
    for (unsigned variant = 0; variant < 256; ++variant) {
      const auto rule = static_cast<ReplayRule>(number);
      const auto program = replay_program(rule, static_cast<uint8_t>(variant));
      if (!program) continue;
      const ReplayDtype narrow = random() % 2 == 0 ? ReplayDtype::kBf16 : ReplayDtype::kF16;
      transform.programs.push_back(
          random_parameters(random, rule, static_cast<uint8_t>(variant), *program,
                            result_bytes == 4 ? ReplayDtype::kF32 : narrow));
    }
  }
  return transform;
}

class TransformReplay : public testing::TestWithParam<unsigned> {};

TEST_P(TransformReplay, GivesTheBitsOfThePredictorForEveryProgram) {
  std::mt19937 random(GetParam());
  const Transform transform = every_program(random, Coding::kPlanes, GetParam());
  ASSERT_GE(transform.programs.size(), 120u);
#ifdef CAIRN_SIMT_TSAN
  const size_t step = 17;
#else
  const size_t step = 1;
#endif
  std::vector<HostChunk> chunks;
  for (size_t i = 0; i < transform.programs.size(); i += step) {
    chunks.push_back(random_chunk(random, transform, static_cast<uint32_t>(i), 700 + i));
  }
  expect_round_trip(transform, chunks);
}

TEST_P(TransformReplay, OfEveryLengthAndCoding) {
#ifdef CAIRN_SIMT_TSAN
  constexpr size_t kCounts[] = {0, 5, 4097};
#else
  constexpr size_t kCounts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 4095, 4097, 8193};
#endif
  std::mt19937 random(10 + GetParam());
  for (const Coding coding : kCodings) {
    const Transform transform = every_program(random, coding, GetParam());
    std::vector<HostChunk> chunks;
    for (const size_t count : kCounts) {
      const auto program = static_cast<uint32_t>(random() % transform.programs.size());
      chunks.push_back(random_chunk(random, transform, program, count));
    }
    SCOPED_TRACE("coding " + std::to_string(int(coding)));
    ASSERT_NO_FATAL_FAILURE(expect_round_trip(transform, chunks));
  }
}

TEST_P(TransformReplay, InAnyOrder) {
  std::mt19937 random(20 + GetParam());
  const Transform transform = every_program(random, Coding::kQuads, GetParam());
  std::vector<HostChunk> chunks;
  for (uint32_t i = 0; i < 11; ++i) {
    chunks.push_back(random_chunk(random, transform, 11 * i, 200 + 97 * i));
  }
  in_any_order([&] { expect_round_trip(transform, chunks, Share{1}); });
}

INSTANTIATE_TEST_SUITE_P(OfItems, TransformReplay, testing::Values(2, 4));

TEST(TransformReplay, ItemsThatTheStepMadeAreItsResiduals) {
  const AdamStep step(4000, 3);
  const std::vector<HostChunk> chunks = {{step.v, {step.m, step.old_m, step.old_v}},
                                         {step.w, {step.old_w, step.m, step.v}, {}, 1}};
  Transform transform{Prediction::kReplay, Coding::kSparse, {4, true}};
  const std::array rules = {ReplayRule::kAdamSecondMoment, ReplayRule::kAdamParameter};
  for (size_t i = 0; i < chunks.size(); ++i) {
    std::vector<ReplayInput> bases(chunks[i].bases.begin(), chunks[i].bases.end());
    const auto fitted = fit_replay(rules[i], step.facts, {chunks[i].items}, bases);
    ASSERT_TRUE(fitted);
    transform.programs.push_back(*fitted);
  }
  expect_round_trip(transform, chunks);
  ChunksOnDevice device(chunks, 4);
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const CodedOnDevice made(plan);
  must(encode({}, plan, OnDevice(plan.image()).span(), made.spans()));
  EXPECT_LT(made.state_now().slab_bytes, 200u);
}

/// The prediction that a device makes, from residuals of 0, gives the stored bytes of the encoder.
TEST(TransformReplay, StoredBytesAreThoseOfTheEncoder) {
  std::mt19937 random(5);
  Transform transform{Prediction::kReplay, Coding::kPlanes, {4, true}};
  transform.programs = {{ReplayRule::kAdamParameter, 0, ReplayDtype::kF32, {}, {}}};
  transform.programs[0].scalars = {0x3a83126f, 0x3f3930be, 0x322bcc77, 0x3f7fbe77};
  const std::vector<HostChunk> chunks = {random_chunk(random, transform, 0, 5000)};
  ChunksOnDevice device(chunks, 4);
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const CodedOnDevice zeros(plan);
  must(decode({}, plan, OnDevice(plan.image()).span(), zeros.spans()));
  const Bytes prediction = device.content(device.chunks()[0].items, chunks[0].items.size());
  Bytes stored;
  append_corrections(
      chunks[0].items,
      [&](size_t first, MutableBytes out) {
        std::copy_n(&prediction[4 * first], out.size(), out.begin());
      },
      transform.form, Effort::kFast, stored);
  const std::vector<ByteSpan> bases(chunks[0].bases.begin(), chunks[0].bases.end());
  EXPECT_EQ(encode_replay(transform.programs[0], chunks[0].items, bases, Effort::kFast).stored,
            stored);
}

void expect_gradients(const Transform& transform, std::span<const HostChunk> chunks,
                      Share share = {}) {
  ChunksOnDevice device(chunks, transform.form.bytes);
  const TransformPlan plan = must(TransformPlan::make(transform, device.chunks()));
  const OnDevice image(plan.image());
  must(find_gradients({}, plan, image.span(), share));
  std::vector<HostChunk> expected(chunks.begin(), chunks.end());
  for (HostChunk& chunk : expected) {
    const ReplayParameters& parameters = transform.programs[chunk.program];
    const Predictor predictor(parameters);
    if (!predictor.program().has_gradient) continue;
    const std::vector<ByteSpan> bases(chunk.bases.begin(), chunk.bases.end());
    chunk.gradient = find_gradient(predictor, parameters, chunk.items, bases);
  }
  const ChunksOnDevice expected_device(expected, transform.form.bytes);
  ASSERT_EQ(device.content(), expected_device.first_content());
}

constexpr float kLr = 0.05f, kDecay = 0.01f;

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }

/// Steps of optimizers, with the numbers that made them or others.
struct GradientCase {
  Transform transform{Prediction::kReplay, Coding::kPlanes, {4, true}};
  std::vector<HostChunk> chunks;

  void add(ReplayParameters parameters, Bytes items, std::vector<Bytes> bases) {
    Bytes gradient(items.size() / transform.form.bytes * 2, 0x33);
    chunks.push_back({std::move(items), std::move(bases), std::move(gradient),
                      static_cast<uint32_t>(chunks.size())});
    transform.programs.push_back(std::move(parameters));
  }
};

GradientCase gradient_case(size_t items, unsigned seed) {
  GradientCase made;
  const GradientStep adam(items, seed, OptimizerKind::kAdam, 0);
  const uint32_t clip = bits_of(adam.clip), q1 = bits_of(0.1f), b1 = bits_of(0.9f);
  made.add({ReplayRule::kAdamFirstMoment, 0, {}, {}, {q1, b1, clip}}, adam.m, {adam.old_m});
  made.add({ReplayRule::kAdamFirstMoment, 2, {}, {}, {q1, b1, bits_of(0.3f)}}, adam.m,
           {adam.old_m});
  const GradientStep decayed(items, seed + 1, OptimizerKind::kAdam, kDecay);
  made.add({ReplayRule::kDecayedFirstMoment,
            0,
            {},
            {},
            {q1, b1, bits_of(decayed.clip), bits_of(kDecay)}},
           decayed.m, {decayed.old_m, decayed.old_w});
  const GradientStep sgd(items, seed + 2, OptimizerKind::kSgd, kDecay);
  made.add({ReplayRule::kGradientParameter,
            kGradientDecayFused,
            {},
            {},
            {bits_of(kLr), bits_of(sgd.clip), bits_of(1), bits_of(kDecay)}},
           sgd.w, {sgd.old_w});
  const GradientStep muon(items, seed + 3, OptimizerKind::kMuon, kDecay);
  made.add({ReplayRule::kGradientParameter,
            0,
            {},
            {},
            {bits_of(0.034f), bits_of(1), bits_of(1 - 0.02f * kDecay), 0}},
           muon.w, {muon.old_w});
  made.add({ReplayRule::kSgdParameter, 0, {}, {}, {bits_of(kLr)}}, muon.w, {muon.old_w, muon.w});
  // Rows that rest, and a few that do not: gradients so faint that none would do as well.
  Bytes rests = decayed.old_m;
  for (size_t i = 0; i < items; ++i) {
    const auto old = load_le<float>(decayed.old_m, 4 * i);
    store_le(MutableBytes(rests), 4 * i, std::fma(0.1f, 0 - old, old));
  }
  std::copy_n(decayed.m.begin(), rests.size() / 3 / 4 * 4, rests.begin());
  made.add({ReplayRule::kAdamFirstMoment, 0, {}, {}, {q1, b1, clip}}, rests, {decayed.old_m});
  return made;
}

TEST(FindGradients, GivesThoseOfTheHost) {
#ifdef CAIRN_SIMT_TSAN
  constexpr size_t kCounts[] = {1030};
#else
  constexpr size_t kCounts[] = {1, 3, 1030, 4095, 4096, 4097, 12000};
#endif
  unsigned seed = 1;
  for (const size_t count : kCounts) {
    const GradientCase made = gradient_case(count, seed++);
    SCOPED_TRACE(count);
    ASSERT_NO_FATAL_FAILURE(expect_gradients(made.transform, made.chunks, Share{1}));
  }
}

TEST(FindGradients, InAnyOrder) {
  const GradientCase made = gradient_case(4100, 9);
  in_any_order([&] { expect_gradients(made.transform, made.chunks, Share{1}); });
}

TEST(FindGradients, OfAnyItemsInAnyDtypes) {
#ifdef CAIRN_SIMT_TSAN
  constexpr uint32_t kTurn = 7;
#else
  constexpr uint32_t kTurn = 1;
#endif
  std::mt19937 random(11);
  for (const uint8_t bytes : {4, 2}) {
    Transform transform = every_program(random, Coding::kPlanes, bytes);
    std::erase_if(transform.programs, [](const ReplayParameters& parameters) {
      return !replay_program(parameters.rule, parameters.variant)->has_gradient;
    });
    std::vector<HostChunk> chunks;
    for (uint32_t i = 0; i < transform.programs.size(); i += kTurn) {
      for (uint32_t& scalar : transform.programs[i].scalars) {
        scalar = bits_of(std::uniform_real_distribution<float>(-1, 1)(random));
      }
      chunks.push_back(random_chunk(random, transform, i, 300 + i));
    }
    ASSERT_NO_FATAL_FAILURE(expect_gradients(transform, chunks));
  }
}

TEST(TransformReplay, RefusesProgramsThatCanNotBe) {
  auto* const there = reinterpret_cast<uint8_t*>(uintptr_t{4096});
  const ReplayParameters sound{ReplayRule::kAdamFirstMoment, 0, {}, {}, {0, 0, 0}};
  const auto refused = [&](const ReplayParameters& parameters, const TransformChunk& chunk) {
    const Transform transform{Prediction::kReplay, Coding::kPlanes, {4, true}, {}, {parameters}};
    const auto plan = TransformPlan::make(transform, std::span(&chunk, 1));
    return !plan && plan.error().code == Code::kUsage;
  };
  EXPECT_FALSE(refused(sound, {there, 1, {there}, there}));
  EXPECT_TRUE(refused(sound, {there, 1, {there}}));
  EXPECT_TRUE(refused(sound, {there, 1, {there}, there + 2}));
  EXPECT_TRUE(refused(sound, {there, 1, {}, there}));
  EXPECT_TRUE(refused(sound, {there, 1, {there}, there, 1}));
  ReplayParameters bent = sound;
  bent.scalars.pop_back();
  EXPECT_TRUE(refused(bent, {there, 1, {there}, there}));
  bent = sound;
  bent.variant = 77;
  EXPECT_TRUE(refused(bent, {there, 1, {there}, there}));
  bent = sound;
  bent.result = ReplayDtype::kBf16;
  EXPECT_TRUE(refused(bent, {there, 1, {there}, there}));
}

}  // namespace
}  // namespace cairn::gpu
