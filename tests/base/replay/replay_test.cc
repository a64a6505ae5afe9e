#include "base/replay/replay.h"

#include <gtest/gtest.h>

#include "base/replay/ops.h"
#include "base/replay/rules.h"
#include "tests/base/replay/adam_step.h"
#include "tests/base/replay/host_floats.h"

namespace cairn {
namespace {

struct Chunk {
  ReplayRule rule;
  Bytes items;
  std::vector<Bytes> bases;

  std::vector<ByteSpan> spans() const { return {bases.begin(), bases.end()}; }
  std::vector<ReplayInput> inputs() const { return {bases.begin(), bases.end()}; }
};

std::vector<Chunk> chunks_of(const AdamStep& step) {
  return {{ReplayRule::kAdamSecondMoment, step.v, {step.m, step.old_m, step.old_v}},
          {ReplayRule::kAdamParameter, step.w, {step.old_w, step.m, step.v}},
          {ReplayRule::kAdamFirstMoment, step.m, {step.old_m}}};
}

/// Also for rules that this is no step of: bytes like any others.
std::vector<Chunk> any_chunks_of(const AdamStep& step) {
  std::vector<Chunk> chunks = chunks_of(step);
  chunks.push_back({ReplayRule::kDecayedFirstMoment, step.m, {step.old_m, step.old_w}});
  chunks.push_back({ReplayRule::kGradientParameter, step.w, {step.old_w}});
  return chunks;
}

Status decode(const Encoded& encoded, const Chunk& chunk, Bytes& out) {
  const std::vector<ByteSpan> spans = chunk.spans();
  return decode_replay(encoded.parameters, encoded.stored, spans, out);
}

void expect_round_trip(const ReplayParameters& parameters, const Chunk& chunk) {
  const std::vector<ByteSpan> spans = chunk.spans();
  for (const Effort effort : {Effort::kFast, Effort::kBalanced}) {
    const Encoded encoded = encode_replay(parameters, chunk.items, spans, effort);
    EXPECT_EQ(encoded.encoding, Encoding::kReplay);
    Bytes out(chunk.items.size());
    const Status status = decode(encoded, chunk, out);
    ASSERT_TRUE(status) << status.error().message;
    ASSERT_EQ(out, chunk.items);
  }
}

class ReplayTest : public testing::Test {
 protected:
  ~ReplayTest() override { use_replay_ops("auto"); }
};

TEST_F(ReplayTest, AStepCostsWhatItsGradientCosts) {
  const AdamStep step(150000, 21);
  for (const Chunk& chunk : chunks_of(step)) {
    const auto inputs = chunk.inputs();
    const auto parameters = fit_replay(chunk.rule, step.facts, {chunk.items}, inputs);
    ASSERT_TRUE(parameters);
    const std::vector<ByteSpan> spans = chunk.spans();
    const Encoded encoded = encode_replay(*parameters, chunk.items, spans, Effort::kBalanced);
    const double bytes = static_cast<double>(encoded.stored.size()) / 150000;
    EXPECT_LT(bytes, chunk.rule == ReplayRule::kAdamFirstMoment ? 1.6 : 0.01);
    expect_round_trip(*parameters, chunk);
  }
}

TEST_F(ReplayTest, WrongNumbersOnlyCostBytes) {
  const AdamStep step(70000, 22);
  for (const Chunk& chunk : any_chunks_of(step)) {
    ReplayParameters parameters;
    parameters.rule = chunk.rule;
    const size_t words = replay_program(chunk.rule, 0)->words();
    for (const uint32_t word : {0u, 0x3f800000u, 0x7f800000u, 0xffffffffu, 0x00000001u}) {
      parameters.scalars.assign(words, word);
      expect_round_trip(parameters, chunk);
    }
  }
}

TEST_F(ReplayTest, OddItemsComeBack) {
  AdamStep step(66000, 23);
  const uint32_t odd[] = {0x7fc00001, 0xffffffff, 0x80000000, 1,
                          0x7f800000, 0xff800000, 0x807fffff};
  for (size_t i = 0; i < std::size(odd); ++i) {
    for (Bytes* bytes : {&step.w, &step.m, &step.v}) store_le(MutableBytes(*bytes), 4 * i, odd[i]);
    for (Bytes* bytes : {&step.old_w, &step.old_m, &step.old_v}) {
      store_le(MutableBytes(*bytes), 4 * (i + 3), odd[i]);
    }
  }
  for (const Chunk& chunk : chunks_of(step)) {
    const auto inputs = chunk.inputs();
    const auto parameters = fit_replay(chunk.rule, step.facts, {chunk.items}, inputs);
    ASSERT_TRUE(parameters);
    expect_round_trip(*parameters, chunk);
  }
  for (const Chunk& chunk : any_chunks_of(step)) {
    ReplayParameters parameters;
    parameters.rule = chunk.rule;
    parameters.scalars.assign(replay_program(chunk.rule, 0)->words(), 0x3e99999a);
    expect_round_trip(parameters, chunk);
  }
}

TEST_F(ReplayTest, AnyMachineDecodesWhatAnyOtherEncoded) {
  const AdamStep step(3000, 24, true);
  for (const Chunk& chunk : any_chunks_of(step)) {
    ReplayParameters parameters;
    parameters.rule = chunk.rule;
    parameters.scalars.assign(replay_program(chunk.rule, 0)->words(), 0x3e99999a);
    const std::vector<ByteSpan> spans = chunk.spans();
    use_replay_ops("portable");
    const Encoded expected = encode_replay(parameters, chunk.items, spans, Effort::kBalanced);
    for (const char* name : {"avx2", "avx512"}) {
      if (!use_replay_ops(name)) continue;
      for (const HostFloats& host : kHostFloats) {
        const HostScope scope(host);
        const Encoded other = encode_replay(parameters, chunk.items, spans, Effort::kBalanced);
        EXPECT_EQ(other.stored, expected.stored) << name << ", " << host.name;
        Bytes out(chunk.items.size());
        EXPECT_TRUE(decode(expected, chunk, out));
        EXPECT_EQ(out, chunk.items);
        EXPECT_TRUE(scope.is_unchanged());
      }
    }
  }
}

TEST_F(ReplayTest, RowsThatRestCostNothing) {
  Chunk chunk{ReplayRule::kAdamFirstMoment, {}, {Bytes()}};
  for (int i = 0; i < 65536; ++i) {
    const float old = static_cast<float>(i + 1) * 1e-7f;
    append_le(chunk.bases[0], old);
    append_le(chunk.items, std::fma(0.1f, 0 - old, old));
  }
  ReplayParameters parameters;
  parameters.rule = chunk.rule;
  parameters.scalars = {0x3dcccccd, 0x3f666666, 0x3f3930be};
  const std::vector<ByteSpan> spans = chunk.spans();
  EXPECT_LT(encode_replay(parameters, chunk.items, spans, Effort::kFast).stored.size(), 16u);
  expect_round_trip(parameters, chunk);
}

TEST_F(ReplayTest, DamageIsAnErrorOrOtherItemsNeverMore) {
  const AdamStep step(2000, 25, true);
  for (const Chunk& chunk : any_chunks_of(step)) {
    ReplayParameters parameters;
    parameters.rule = chunk.rule;
    parameters.scalars.assign(replay_program(chunk.rule, 0)->words(), 0x3e99999a);
    const std::vector<ByteSpan> spans = chunk.spans();
    const Encoded whole = encode_replay(parameters, chunk.items, spans, Effort::kBalanced);
    Bytes out(chunk.items.size());
    for (size_t size = 0; size < whole.stored.size(); size += 1 + size / 8) {
      Encoded cut = whole;
      cut.stored.resize(size);
      EXPECT_FALSE(decode(cut, chunk, out)) << size;
    }
    for (size_t at = 0; at < whole.stored.size(); at += 1 + at / 8) {
      Encoded bent = whole;
      bent.stored[at] ^= 0x41;
      (void)decode(bent, chunk, out).has_value();
    }
    Encoded longer = whole;
    longer.stored.push_back(0);
    EXPECT_FALSE(decode(longer, chunk, out));
  }
}

TEST_F(ReplayTest, BasesOfOtherSizesAreDamage) {
  const AdamStep step(2000, 26);
  const Chunk chunk = chunks_of(step)[0];
  const auto inputs = chunk.inputs();
  const auto parameters = fit_replay(chunk.rule, step.facts, {chunk.items}, inputs);
  ASSERT_TRUE(parameters);
  std::vector<ByteSpan> spans = chunk.spans();
  const Encoded encoded = encode_replay(*parameters, chunk.items, spans, Effort::kFast);
  Bytes out(chunk.items.size()), part(chunk.items.size() - 1), none;
  const auto code = [&](MutableBytes to) {
    const Status status = decode_replay(encoded.parameters, encoded.stored, spans, to);
    return status ? Code::kBug : status.error().code;
  };
  EXPECT_EQ(code(part), Code::kCorrupt);
  EXPECT_EQ(code(none), Code::kCorrupt);
  spans[1] = spans[1].first(spans[1].size() - 4);
  EXPECT_EQ(code(out), Code::kCorrupt);
  spans.pop_back();
  EXPECT_EQ(code(out), Code::kCorrupt);
}

}  // namespace
}  // namespace cairn
