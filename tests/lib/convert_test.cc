#include "lib/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace cairn {
namespace {

/// The nearest of all values of a 16-bit format, ties to the even bit pattern: slow and plain.
template <class Decode>
uint16_t nearest(double value, const Decode& decode, uint16_t infinity) {
  uint16_t low = 0, high = infinity;
  const double magnitude = std::fabs(value);
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (decode(middle) <= magnitude ? low : high) = middle;
  }
  // Beyond the largest finite value the next step counts as one more power of two would.
  const double below = decode(low);
  const double above =
      high == infinity ? 2 * below - decode(static_cast<uint16_t>(low - 1)) : decode(high);
  uint16_t bits = magnitude - below < above - magnitude ? low : high;
  if (magnitude - below == above - magnitude) bits = low % 2 == 0 ? low : high;
  if (magnitude == decode(high)) bits = high;
  return std::signbit(value) ? bits | 0x8000 : bits;
}

TEST(Convert, Bf16RoundsToNearestEven) {
  std::mt19937 random(7);
  const auto decode = [](uint16_t bits) { return double{f32_from_bf16(bits)}; };
  for (int round = 0; round < 200000; ++round) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isnan(value) || std::isinf(value)) continue;
    ASSERT_EQ(bf16_from_f32(value), nearest(double{value}, decode, 0x7f80)) << value;
  }
}

TEST(Convert, F16RoundsToNearestEven) {
  std::mt19937 random(8);
  const auto decode = [](uint16_t bits) { return double{f32_from_f16(bits)}; };
  for (int round = 0; round < 200000; ++round) {
    const float value = std::ldexp(static_cast<float>(random()) / 1e9f - 2.0f,
                                   static_cast<int>(random() % 48) - 30);
    ASSERT_EQ(f16_from_f32(value), nearest(double{value}, decode, 0x7c00)) << value;
  }
}

TEST(Convert, EveryHalfSurvivesTheWayThroughF32) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float f = f32_from_f16(half), b = f32_from_bf16(half);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(f32_from_f16(f16_from_f32(f))));
    } else {
      EXPECT_EQ(f16_from_f32(f), half);
    }
    if (std::isnan(b)) {
      EXPECT_TRUE(std::isnan(f32_from_bf16(bf16_from_f32(b))));
    } else {
      EXPECT_EQ(bf16_from_f32(b), half);
    }
  }
  EXPECT_EQ(f32_from_f16(0x3c00), 1.0f);
  EXPECT_EQ(f32_from_f16(0x0001), std::ldexp(1.0f, -24));
  EXPECT_TRUE(std::signbit(f32_from_f16(0x8000)));
}

TEST(Convert, EightBitFloatsHaveTheValuesOfTheirFormats) {
  struct Row {
    Dtype dtype;
    uint8_t bits;
    float value;
  };
  for (const Row& row : {Row{Dtype::kF8E4M3, 0x38, 1.0f}, Row{Dtype::kF8E4M3, 0x7e, 448.0f},
                         Row{Dtype::kF8E4M3, 0x01, 0.001953125f}, Row{Dtype::kF8E4M3, 0xb8, -1.0f},
                         Row{Dtype::kF8E5M2, 0x3c, 1.0f}, Row{Dtype::kF8E5M2, 0x7b, 57344.0f},
                         Row{Dtype::kF8E5M2, 0x01, 0x1p-16f}, Row{Dtype::kF8E4M3Fnuz, 0x40, 1.0f},
                         Row{Dtype::kF8E4M3Fnuz, 0x7f, 240.0f}, Row{Dtype::kF8E5M2Fnuz, 0x40, 1.0f},
                         Row{Dtype::kF8E5M2Fnuz, 0x7f, 57344.0f}, Row{Dtype::kF8E8M0, 127, 1.0f},
                         Row{Dtype::kF8E8M0, 0, 0x1p-127f}, Row{Dtype::kF8E8M0, 254, 0x1p127f}}) {
    EXPECT_EQ(f32_from_f8(row.bits, row.dtype), row.value)
        << dtype_name(row.dtype) << int{row.bits};
  }
  EXPECT_TRUE(std::isinf(f32_from_f8(0x7c, Dtype::kF8E5M2)));
  for (const auto& [dtype, bits] : {std::pair{Dtype::kF8E4M3, 0x7f},
                                    {Dtype::kF8E5M2, 0x7d},
                                    {Dtype::kF8E4M3Fnuz, 0x80},
                                    {Dtype::kF8E5M2Fnuz, 0x80},
                                    {Dtype::kF8E8M0, 0xff}}) {
    EXPECT_TRUE(std::isnan(f32_from_f8(static_cast<uint8_t>(bits), dtype))) << dtype_name(dtype);
  }
}

template <class Out, class In>
Out once(Dtype source, In value, Dtype target) {
  EXPECT_TRUE(check_convertible(source, target));
  Out out{};
  convert(source, reinterpret_cast<const uint8_t*>(&value), target,
          reinterpret_cast<uint8_t*>(&out), 1);
  return out;
}

TEST(Convert, IntegersSaturateAndNanIsZero) {
  EXPECT_EQ((once<int8_t>(Dtype::kF32, 300.0f, Dtype::kI8)), 127);
  EXPECT_EQ((once<int8_t>(Dtype::kF32, -300.0f, Dtype::kI8)), -128);
  EXPECT_EQ((once<uint8_t>(Dtype::kF64, -1.5, Dtype::kU8)), 0);
  EXPECT_EQ((once<int32_t>(Dtype::kF32, -1.9f, Dtype::kI32)), -1);
  EXPECT_EQ((once<int64_t>(Dtype::kF32, 1e30f, Dtype::kI64)), std::numeric_limits<int64_t>::max());
  EXPECT_EQ((once<int32_t>(Dtype::kF32, std::nanf(""), Dtype::kI32)), 0);
}

TEST(Convert, WideValuesKeepWhatTheTargetHolds) {
  EXPECT_EQ((once<double>(Dtype::kI32, int32_t{-7}, Dtype::kF64)), -7.0);
  EXPECT_EQ((once<double>(Dtype::kF32, 0.1f, Dtype::kF64)), double{0.1f});
  EXPECT_EQ((once<float>(Dtype::kF64, 0.1, Dtype::kF32)), 0.1f);
  EXPECT_EQ((once<float>(Dtype::kBool, uint8_t{1}, Dtype::kF32)), 1.0f);
  EXPECT_EQ((once<uint64_t>(Dtype::kU32, uint32_t{4000000000}, Dtype::kU64)), 4000000000u);
  EXPECT_EQ((once<uint16_t>(Dtype::kF32, 1.0f, Dtype::kBF16)), 0x3f80);
}

TEST(Convert, PairsThatHaveNoMeaningAreRefused) {
  for (const auto& [source, target] : {std::pair{Dtype::kF32, Dtype::kF8E4M3},
                                       {Dtype::kF4, Dtype::kF32},
                                       {Dtype::kC64, Dtype::kF32},
                                       {Dtype::kF32, Dtype::kC64},
                                       {Dtype::kF32, Dtype::kF6E2M3}}) {
    const Status refused = check_convertible(source, target);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUsage);
    EXPECT_NE(refused.error().message.find(dtype_name(source)), std::string::npos);
    EXPECT_NE(refused.error().message.find(dtype_name(target)), std::string::npos);
  }
}

}  // namespace
}  // namespace cairn
