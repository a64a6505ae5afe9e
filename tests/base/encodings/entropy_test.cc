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
      EXPECT_FALSE(run.is_coded) << count;
      EXPECT_EQ(run.bytes, count + 1);
    }
  }
}

TEST(Entropy, WhatShrinksALittleIsWorthSomeTime) {
  Bytes bytes = random_bytes(65536, 4);
  for (uint8_t& byte : bytes) byte &= 0x7f;
  EXPECT_TRUE(estimate_run(sample_bytes(bytes), bytes.size(), Effort::kBalanced).is_coded);
  EXPECT_FALSE(estimate_run(sample_bytes(bytes), bytes.size(), Effort::kFast).is_coded);
  for (uint8_t& byte : bytes) byte &= 0x0f;
  EXPECT_TRUE(estimate_run(sample_bytes(bytes), bytes.size(), Effort::kFast).is_coded);
}

TEST(Entropy, NoByteCostsLessThanABit) {
  Bytes bytes(65536, 0);
  for (size_t i = 0; i < bytes.size(); i += 997) bytes[i] = static_cast<uint8_t>(i);
  const RunEstimate run = estimate_run(sample_bytes(bytes), bytes.size(), Effort::kBalanced);
  EXPECT_TRUE(run.is_coded);
  EXPECT_GE(run.bytes, bytes.size() / 8);
  EXPECT_LE(run.bytes, bytes.size() / 7);
}

}  // namespace
}  // namespace cairn
