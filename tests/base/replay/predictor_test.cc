#include "base/replay/predictor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "base/replay/ops.h"
#include "base/replay/rules.h"
#include "tests/base/replay/host_floats.h"

namespace cairn {
namespace {

/// All vectors of one rule, variant and scalars.
struct Golden {
  ReplayParameters parameters;
  std::vector<Bytes> inputs;  ///< F32, the gradient BF16
  Bytes results;
};

std::vector<uint32_t> parse_words(std::string text) {
  std::vector<uint32_t> words;
  std::replace(text.begin(), text.end(), ',', ' ');
  std::istringstream list(text);
  for (std::string word; list >> word;) {
    if (word != "-") words.push_back(static_cast<uint32_t>(std::stoul(word, nullptr, 16)));
  }
  return words;
}

std::vector<Golden> read_golden() {
  const char* path = std::getenv("CAIRN_GOLDEN_VECTORS");
  std::ifstream file(path != nullptr ? path : "tests/base/replay/golden_vectors.txt");
  std::map<std::string, Golden> all;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string rule, variant, scalars, rest;
    words >> rule >> variant >> scalars;
    std::getline(words, rest);
    Golden& golden = all[rule + " " + variant];
    golden.parameters.rule = static_cast<ReplayRule>(std::stoi(rule));
    golden.parameters.variant = static_cast<uint8_t>(std::stoi(variant));
    golden.parameters.scalars = parse_words(scalars);
    const std::vector<uint32_t> values = parse_words(rest);
    golden.inputs.resize(values.size() - 1);
    const auto program = replay_program(golden.parameters.rule, golden.parameters.variant);
    for (size_t i = 0; i + 1 < values.size(); ++i) {
      if (program && program->has_gradient && i == program->bases) {
        append_le(golden.inputs[i], static_cast<uint16_t>(values[i] >> 16));
      } else {
        append_le(golden.inputs[i], values[i]);
      }
    }
    append_le(golden.results, values.back());
  }
  std::vector<Golden> list;
  for (auto& [key, golden] : all) list.push_back(std::move(golden));
  return list;
}

Bytes predicted(const Golden& golden) {
  const Predictor predictor(golden.parameters);
  const std::vector<ByteSpan> inputs(golden.inputs.begin(), golden.inputs.end());
  EXPECT_EQ(inputs.size(), predictor.inputs());
  Bytes out(golden.results.size());
  predictor.predict(inputs, 0, out);
  return out;
}

class PredictorTest : public testing::Test {
 protected:
  ~PredictorTest() override { use_replay_ops("auto"); }
};

TEST_F(PredictorTest, GivesTheBitsOfTheDocument) {
  const std::vector<Golden> all = read_golden();
  ASSERT_GE(all.size(), 80u);
  for (const char* name : {"portable", "avx2", "avx512"}) {
    if (!use_replay_ops(name)) continue;
    for (const Golden& golden : all) {
      ASSERT_EQ(predicted(golden), golden.results)
          << name << ", rule " << static_cast<int>(golden.parameters.rule) << ", variant "
          << static_cast<int>(golden.parameters.variant);
    }
  }
}

TEST_F(PredictorTest, EveryKnownVariantHasGoldenVectors) {
  std::map<std::pair<int, int>, bool> known;
  for (const Golden& golden : read_golden()) {
    known[{static_cast<int>(golden.parameters.rule), golden.parameters.variant}] = true;
  }
  for (int rule = 0; rule < 256; ++rule) {
    for (int variant = 0; variant < 256; ++variant) {
      const auto program =
          replay_program(static_cast<ReplayRule>(rule), static_cast<uint8_t>(variant));
      // Flags of the second moment and of rounding are tested apart from each other.
      const bool is_flagged = (rule == 1 || rule == 2) && variant >= 32;
      if (program && !is_flagged) {
        EXPECT_TRUE((known[{rule, variant}])) << rule << " " << variant;
      }
      if (!program) {
        EXPECT_FALSE((known[{rule, variant}])) << rule << " " << variant;
      }
    }
  }
}

TEST_F(PredictorTest, WhatTheHostSetTheProcessorToChangesNothing) {
  const std::vector<Golden> all = read_golden();
  for (const HostFloats& host : kHostFloats) {
    const HostScope scope(host);
    for (const Golden& golden : all) ASSERT_EQ(predicted(golden), golden.results) << host.name;
    EXPECT_TRUE(scope.is_unchanged()) << host.name;
  }
}

TEST_F(PredictorTest, ItemsOfAPartAreThoseOfTheWhole) {
  ReplayParameters parameters;
  parameters.rule = ReplayRule::kSgdParameter;
  parameters.scalars = {0x3c23d70a};
  const Predictor predictor(parameters);
  Bytes old, buffer;
  for (uint32_t i = 0; i < 1500; ++i) {
    append_le(old, static_cast<float>(i) * 0.37f);
    append_le(buffer, static_cast<float>(i) * -1.7f);
  }
  const std::vector<ByteSpan> inputs = {old, buffer};
  Bytes whole(old.size()), part(4 * 700);
  predictor.predict(inputs, 0, whole);
  predictor.predict(inputs, 613, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 4 * 613));
}

TEST_F(PredictorTest, NarrowDtypesAreWidenedAndRoundedBack) {
  ReplayParameters parameters;
  parameters.rule = ReplayRule::kSgdParameter;
  parameters.result = ReplayDtype::kBf16;
  parameters.bases = {ReplayDtype::kBf16, ReplayDtype::kF16};
  parameters.scalars = {0x3f000000};  // 0.5
  const Predictor predictor(parameters);
  Bytes old, buffer, out(4);
  append_le(old, uint16_t{0x3f80}), append_le(old, uint16_t{0x7f81});        // 1, NaN
  append_le(buffer, uint16_t{0x3c01}), append_le(buffer, uint16_t{0x3c00});  // 1 + 2^-10, 1
  const std::vector<ByteSpan> inputs = {old, buffer};
  predictor.predict(inputs, 0, out);
  EXPECT_EQ(load_le<uint16_t>(out, 0), 0x3f00);  // 0.5 - 2^-11, rounded
  EXPECT_EQ(load_le<uint16_t>(out, 2), 0x7fc0);
}

}  // namespace
}  // namespace cairn
