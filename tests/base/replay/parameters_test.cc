#include <gtest/gtest.h>

#include "base/replay/replay.h"
#include "base/replay/rules.h"

namespace cairn {
namespace {

ReplayParameters example() {
  ReplayParameters parameters;
  parameters.rule = ReplayRule::kAdamParameter;
  parameters.variant = kParameterRounded | kDecayFused;
  parameters.result = ReplayDtype::kBf16;
  parameters.bases = {ReplayDtype::kBf16, ReplayDtype::kF32, ReplayDtype::kF16};
  parameters.scalars = {1, 0x7fc00000, 3, 0xffffffff};
  return parameters;
}

Code code_of(const Bytes& bytes) {
  const auto parameters = decode_replay_parameters(bytes);
  return parameters ? Code::kBug : parameters.error().code;
}

TEST(ReplayParametersTest, ComeBackAsTheyWere) {
  const ReplayParameters parameters = example();
  const Bytes bytes = encode_replay_parameters(parameters);
  EXPECT_EQ(bytes.size(), 4 + 4 * 4u);
  const auto decoded = decode_replay_parameters(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, parameters);
}

TEST(ReplayParametersTest, LayOutAsTheDocumentSays) {
  const Bytes bytes = encode_replay_parameters(example());
  EXPECT_EQ(bytes[0], 0x11);
  EXPECT_EQ(bytes[1], 2);
  EXPECT_EQ(bytes[2], 0x21);
  EXPECT_EQ(bytes[3], 0x40 | 2 << 4 | 0 << 2 | 1);
  EXPECT_EQ(load_le<uint32_t>(bytes, 8), 0x7fc00000u);
}

TEST(ReplayParametersTest, OtherLengthsAreDamage) {
  Bytes bytes = encode_replay_parameters(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(code_of(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size))),
              Code::kCorrupt);
  }
  bytes.resize(bytes.size() + 4);
  EXPECT_EQ(code_of(bytes), Code::kCorrupt);
}

TEST(ReplayParametersTest, WhatAFutureVersionMayKnowIsNewer) {
  for (const int rule : {0, 10, 255}) {
    Bytes bytes = encode_replay_parameters(example());
    bytes[1] = static_cast<uint8_t>(rule);
    EXPECT_EQ(code_of(bytes), Code::kNewerFormat);
  }
  Bytes variant = encode_replay_parameters(example()), dtype = variant, form = variant;
  variant[2] = 0xff;
  dtype[3] = 0x03;
  form[0] = 0x80;
  EXPECT_EQ(code_of(variant), Code::kNewerFormat);
  EXPECT_EQ(code_of(dtype), Code::kNewerFormat);
  EXPECT_EQ(code_of(form), Code::kNewerFormat);
}

TEST(ReplayParametersTest, AFormThatIsNotTheDtypesIsDamage) {
  Bytes bytes = encode_replay_parameters(example());
  bytes[0] = 0x12;
  EXPECT_EQ(code_of(bytes), Code::kCorrupt);
}

TEST(ReplayParametersTest, RulesSayHowManyBasesTheyHave) {
  EXPECT_EQ(base_count(ReplayRule::kAdamSecondMoment), 3u);
  EXPECT_EQ(base_count(ReplayRule::kAdamParameter), 3u);
  EXPECT_EQ(base_count(ReplayRule::kAdamFirstMoment), 1u);
  EXPECT_EQ(base_count(ReplayRule::kSgdParameter), 2u);
  EXPECT_EQ(base_count(ReplayRule::kDecayedFirstMoment), 2u) << "the gradient is none";
  EXPECT_EQ(base_count(ReplayRule::kGradientParameter), 1u);
  EXPECT_EQ(base_count(static_cast<ReplayRule>(99)), 0u);
}

}  // namespace
}  // namespace cairn
