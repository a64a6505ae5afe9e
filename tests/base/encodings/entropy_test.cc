#include "base/encodings/entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/encodings/item_samples.h"

namespace cairn {
namespace {

TEST(Entropy, LogarithmsAreRight) {
  EXPECT_EQ(log2_bits(1), 0u);
  EXPECT_EQ(log2_bits(65536), 16 * kBit);
  for (uint64_t value = 1; value < 3'000'000; value += 1 + value / 7) {
    EXPECT_NEAR(static_cast<double>(log2_bits(value)) / kBit, std::log2(value), 0.003) << value;
  }
}

TEST(Entropy, OfFairDiceIsTheirBits) {
  const std::vector<uint32_t> parts(16, 10);
  EXPECT_NEAR(static_cast<double>(entropy_bits(parts, 160)) / kBit, 4 * 160, 1);
  EXPECT_EQ(entropy_bits(std::vector<uint32_t>{7, 0}, 7), 0u);
}

TEST(Entropy, EveryByteIsCounted) {
  for (const size_t count : {1, 3, 4, 4097, 70000}) {
    ByteCounts counts;
    count_bytes(random_bytes(count, 1), counts);
    size_t sum = 0;
    for (const uint32_t each : counts.of) sum += each;
    EXPECT_EQ(sum, count);
    EXPECT_EQ(counts.total, count);
  }
  const Bytes bytes = {1, 2, 1, 1, 255};
  ByteCounts counts;
  count_bytes(bytes, counts);
  EXPECT_EQ(counts.of[1], 3u);
  EXPECT_EQ(counts.of[2], 1u);
  EXPECT_EQ(counts.of[255], 1u);
}

TEST(Entropy, NoiseIsNotWorthIt) {
  for (const size_t count : {10, 300, 65536}) {
    const Bytes noise = random_bytes(count, 3);
    for (const Effort effort : {Effort::kFast, Effort::kBalanced}) {
      const RunEstimate run = estimate_run(sample_bytes(noise), count, effort);
      EXPECT_EQ(run.coding, RunCoding::kPlain) << count;
      EXPECT_EQ(run.bytes, count + 1);
    }
  }
}

TEST(Entropy, WhatShrinksALittleIsWorthSomeTime) {
  Bytes bytes = random_bytes(65536, 4);
  for (uint8_t& byte : bytes) byte &= 0x7f;
  const auto coding_of = [&](Effort effort) {
    return estimate_run(sample_bytes(bytes), bytes.size(), effort).coding;
  };
  EXPECT_EQ(coding_of(Effort::kBalanced), RunCoding::kZstd);
  EXPECT_EQ(coding_of(Effort::kFast), RunCoding::kPlain);
  for (uint8_t& byte : bytes) byte &= 0x0f;
  EXPECT_EQ(coding_of(Effort::kFast), RunCoding::kZstd);
}

TEST(Entropy, AFewAmongManyAreGaps) {
  Bytes bytes(65536, 9);
  for (const Effort effort : {Effort::kFast, Effort::kBalanced}) {
    bytes[777] = 8;  // not in the sample
    EXPECT_EQ(estimate_run(sample_bytes(bytes), bytes.size(), effort).coding, RunCoding::kGaps);
    for (size_t i = 0; i < bytes.size(); i += 49) bytes[i] = 3;
    const RunEstimate run = estimate_run(sample_bytes(bytes), bytes.size(), effort);
    EXPECT_EQ(run.coding, RunCoding::kGaps);
    EXPECT_NEAR(static_cast<double>(run.bytes), 1400, 200);
    for (uint8_t& byte : bytes) byte = 9;
  }
}

TEST(Entropy, NoByteOfACodeCostsLessThanABit) {
  const std::vector<uint32_t> parts = {60, 40};
  const RunEstimate run =
      estimate_coded(entropy_bits(parts, 100) * 100, 60 * kBit / 100, 0, 10000, Effort::kBalanced);
  EXPECT_NEAR(static_cast<double>(run.bytes), 10000 / 8, 30);
}

}  // namespace
}  // namespace cairn
