#include "base/replay/ops.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "base/replay/float_environment.h"

namespace cairn {
namespace {

struct alignas(64) Values {
  float of[kRegisterItems];
};

constexpr uint32_t kOdd[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff,
                             0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0x7f800000,
                             0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0x3f808000};

/// Any bits, often odd ones, sometimes of sizes that meet.
Values random_values(std::mt19937& random) {
  Values values;
  for (float& value : values.of) {
    uint32_t bits = random();
    if (random() % 4 == 0) bits = kOdd[random() % std::size(kOdd)];
    if (random() % 3 == 0) bits = (bits & 0x80ffffff) | 0x3e000000;
    value = std::bit_cast<float>(bits);
  }
  return values;
}

void expect_same_bits(const Values& a, const Values& b) {
  for (size_t i = 0; i < kRegisterItems; ++i) {
    // Which payload a NaN has is decided by the last step alone.
    if (std::isnan(a.of[i]) && std::isnan(b.of[i])) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(a.of[i]), std::bit_cast<uint32_t>(b.of[i])) << i;
  }
}

class Ops : public testing::Test {
 protected:
  ~Ops() override { use_replay_ops("auto"); }
  static std::vector<const ReplayOps*> machines() {
    std::vector<const ReplayOps*> all;
    for (const char* name : {"portable", "avx2", "avx512"}) {
      if (use_replay_ops(name)) all.push_back(&replay_ops());
    }
    return all;
  }
};

TEST_F(Ops, EveryInstructionSetGivesTheSameBits) {
  const std::vector<const ReplayOps*> all = machines();
  std::mt19937 random(1);
  const double wide[2] = {0.999, 1 - 0.999};
  for (int turn = 0; turn < 200; ++turn) {
    const Values a = random_values(random), b = random_values(random), c = random_values(random);
    for (size_t op = 0; op < kReplayOps; ++op) {
      SCOPED_TRACE(op);
      Values expected;
      all[0]->functions[op](expected.of, a.of, b.of, c.of, wide);
      for (const ReplayOps* ops : all) {
        SCOPED_TRACE(ops->name);
        Values result;
        ops->functions[op](result.of, a.of, b.of, c.of, wide);
        ASSERT_NO_FATAL_FAILURE(expect_same_bits(expected, result));
        Values in_place = a;
        ops->functions[op](in_place.of, in_place.of, b.of, c.of, wide);
        ASSERT_NO_FATAL_FAILURE(expect_same_bits(expected, in_place));
      }
    }
  }
}

TEST_F(Ops, AProductIsRoundedBeforeItsSumUnlessFused) {
  const double wide[2] = {1, 1};
  Values a, b, c;
  std::fill_n(a.of, kRegisterItems, 1 + 0x1p-12f);
  std::fill_n(b.of, kRegisterItems, 1 + 0x1p-12f);
  std::fill_n(c.of, kRegisterItems, -1 - 0x1p-11f);
  for (const ReplayOps* ops : machines()) {
    SCOPED_TRACE(ops->name);
    Values product, sum;
    ops->functions[static_cast<size_t>(ReplayOp::kMul)](product.of, a.of, b.of, c.of, wide);
    ops->functions[static_cast<size_t>(ReplayOp::kAdd)](sum.of, product.of, c.of, c.of, wide);
    EXPECT_EQ(sum.of[0], 0);
    ops->functions[static_cast<size_t>(ReplayOp::kFma)](sum.of, a.of, b.of, c.of, wide);
    EXPECT_EQ(sum.of[0], 0x1p-24f);
    ops->functions[static_cast<size_t>(ReplayOp::kFnma)](sum.of, a.of, b.of, c.of, wide);
    EXPECT_EQ(sum.of[0], -2 - 0x1p-10f);
  }
}

TEST_F(Ops, NansBecomeCanonicalAndNothingElseChanges) {
  std::mt19937 random(2);
  const Values values = random_values(random);
  for (const ReplayOps* ops : machines()) {
    Values result = values;
    ops->canonical(result.of);
    for (size_t i = 0; i < kRegisterItems; ++i) {
      const uint32_t expected =
          std::isnan(values.of[i]) ? 0x7fc00000 : std::bit_cast<uint32_t>(values.of[i]);
      ASSERT_EQ(std::bit_cast<uint32_t>(result.of[i]), expected);
    }
  }
}

TEST_F(Ops, AnUnknownNameIsRefused) {
  EXPECT_FALSE(use_replay_ops("abacus"));
  EXPECT_TRUE(use_replay_ops("portable"));
  EXPECT_EQ(replay_ops().name, "portable");
}

}  // namespace
}  // namespace cairn
