#include "base/encodings/cast.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>

#include "base/encodings/item_kernel.h"
#include "tests/base/encodings/item_samples.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace cairn {
namespace {

template <class Out, class In>
std::vector<Out> cast_all(Cast cast, const std::vector<In>& in) {
  std::vector<Out> out(in.size());
  Bytes bytes(in.size() * sizeof(Out));
  cast_items(cast, as_bytes(in.data(), in.size() * sizeof(In)), bytes);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}
uint16_t bf16_of(uint32_t bits) {
  return cast_all<uint16_t>(Cast::kF32ToBf16, std::vector<uint32_t>{bits})[0];
}
uint16_t f16_of(uint32_t bits) {
  return cast_all<uint16_t>(Cast::kF32ToF16, std::vector<uint32_t>{bits})[0];
}

std::vector<uint16_t> all_halves() {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  return all;
}

uint32_t bits_of(double value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); }

/// With each kernel of this machine.
class Casts : public testing::TestWithParam<const ItemKernel*> {
 protected:
  void SetUp() override { use_item_kernel(GetParam()); }
  void TearDown() override { use_item_kernel(nullptr); }
};

TEST_P(Casts, UpIsExact) {
  const auto from_f16 = cast_all<uint32_t>(Cast::kF16ToF32, all_halves());
  const auto from_bf16 = cast_all<uint32_t>(Cast::kBf16ToF32, all_halves());
  for (uint32_t half = 0; half < 65536; ++half) {
    ASSERT_EQ(from_bf16[half], half << 16);
    const uint32_t sign = half >> 15 << 31, exponent = half >> 10 & 31, mantissa = half & 1023;
    uint32_t expected = sign;
    if (exponent == 31) {
      expected |= 0x7f800000 | mantissa << 13;  // NaNs keep their bits, quiet or not
    } else if (exponent == 0) {
      expected |= bits_of(std::ldexp(mantissa, -24));
    } else {
      expected |= bits_of(std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25));
    }
    ASSERT_EQ(from_f16[half], expected) << half;
  }
}

TEST_P(Casts, DownUndoesUp) {
  const std::vector<uint16_t> all = all_halves();
  const auto f16 = cast_all<uint16_t>(Cast::kF32ToF16, cast_all<uint32_t>(Cast::kF16ToF32, all));
  const auto bf16 = cast_all<uint16_t>(Cast::kF32ToBf16, cast_all<uint32_t>(Cast::kBf16ToF32, all));
  for (uint32_t half = 0; half < 65536; ++half) {
    const bool is_f16_nan = (half & 0x7fff) > 0x7c00, is_bf16_nan = (half & 0x7fff) > 0x7f80;
    ASSERT_EQ(f16[half], half | (is_f16_nan ? 0x200 : 0)) << half;
    ASSERT_EQ(bf16[half], half | (is_bf16_nan ? 0x40 : 0)) << half;
  }
}

/// Between neighbours the nearer is taken, in the middle the even one.
TEST_P(Casts, DownRoundsToNearestEven) {
  const auto singles = cast_all<uint32_t>(Cast::kF16ToF32, all_halves());
  std::vector<uint32_t> below, middle, above;
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    const double low = std::bit_cast<float>(singles[half]);
    // The neighbour of the largest would be 65536 if exponents went on.
    const double high = half == 0x7bff ? 65536 : std::bit_cast<float>(singles[half + 1]);
    middle.push_back(bits_of((low + high) / 2));
    below.push_back(middle.back() - 1);
    above.push_back(middle.back() + 1);
  }
  const auto rounded_below = cast_all<uint16_t>(Cast::kF32ToF16, below);
  const auto rounded_middle = cast_all<uint16_t>(Cast::kF32ToF16, middle);
  const auto rounded_above = cast_all<uint16_t>(Cast::kF32ToF16, above);
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    ASSERT_EQ(rounded_below[half], half);
    ASSERT_EQ(rounded_middle[half], half + half % 2);
    ASSERT_EQ(rounded_above[half], half + 1);
    ASSERT_EQ(f16_of(above[half] | 0x80000000), (half + 1) | 0x8000);
  }
  for (uint32_t half = 0; half < 0x7f80; half += 3) {
    ASSERT_EQ(bf16_of(half << 16 | 0x7fff), half);
    ASSERT_EQ(bf16_of(half << 16 | 0x8000), half + half % 2);
    ASSERT_EQ(bf16_of(half << 16 | 0x8001), half + 1);
    ASSERT_EQ(bf16_of(half << 16 | 0x80008001), (half + 1) | 0x8000);
  }
}

TEST_P(Casts, SpecialValues) {
  struct Row {
    uint32_t f32;
    uint16_t bf16, f16;
  };
  constexpr Row kRows[] = {
      {0x00000000, 0x0000, 0x0000},
      {0x80000000, 0x8000, 0x8000},
      {0x7f800000, 0x7f80, 0x7c00},
      {0xff800000, 0xff80, 0xfc00},
      {0x7f7fffff, 0x7f80, 0x7c00},
      {0x7f800001, 0x7fc0, 0x7e00},  // a NaN whose bits all fall away stays one
      {0xff8fe000, 0xffcf, 0xfe7f},
      {0x7fc00000, 0x7fc0, 0x7e00},
      {0x7fffffff, 0x7fff, 0x7fff},
      {0x00000001, 0x0000, 0x0000},
      {0x477fefff, 0x4780, 0x7bff},
      {0x477ff000, 0x4780, 0x7c00},
      {0x33000000, 0x3300, 0x0000},
      {0x33000001, 0x3300, 0x0001}};
  for (const Row& row : kRows) {
    EXPECT_EQ(bf16_of(row.f32), row.bf16) << std::hex << row.f32;
    EXPECT_EQ(f16_of(row.f32), row.f16) << std::hex << row.f32;
  }
}

/// Every 251st of all floats; all lengths up to some vectors; odd addresses.
TEST_P(Casts, AreThoseOfThePortableKernel) {
  std::vector<uint32_t> singles;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 251) {
    singles.push_back(static_cast<uint32_t>(bits));
  }
  const auto f16 = cast_all<uint16_t>(Cast::kF32ToF16, singles);
  const auto bf16 = cast_all<uint16_t>(Cast::kF32ToBf16, singles);
  use_item_kernel(&kItemsPortable);
  EXPECT_EQ(f16, cast_all<uint16_t>(Cast::kF32ToF16, singles));
  EXPECT_EQ(bf16, cast_all<uint16_t>(Cast::kF32ToBf16, singles));
  for (const Cast cast : {Cast::kF32ToBf16, Cast::kBf16ToF32, Cast::kF32ToF16, Cast::kF16ToF32}) {
    for (size_t count = 0; count < 70; ++count) {
      const Bytes in = random_bytes(count * source_bytes(cast) + 1, 5);
      Bytes met(count * target_bytes(cast) + 3, 0xee), expected = met;
      const ByteSpan items = ByteSpan(in).subspan(1);
      const auto to = [&](Bytes& out) { return MutableBytes(out).subspan(1, out.size() - 3); };
      use_item_kernel(GetParam());
      cast_items(cast, items, to(met));
      use_item_kernel(&kItemsPortable);
      cast_items(cast, items, to(expected));
      ASSERT_EQ(met, expected) << count;
    }
  }
}

TEST_P(Casts, ModesOfTheThreadDoNotMatter) {
  std::vector<uint32_t> singles;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 65521) {
    singles.push_back(static_cast<uint32_t>(bits));
  }
  const auto f16 = cast_all<uint16_t>(Cast::kF32ToF16, singles);
  const auto bf16 = cast_all<uint16_t>(Cast::kF32ToBf16, singles);
  const auto from_f16 = cast_all<uint32_t>(Cast::kF16ToF32, all_halves());
  const int before = std::fegetround();
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
#if defined(__SSE2__)
    const unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040);  // flush to zero, denormals are zero
#endif
    const bool is_same = f16 == cast_all<uint16_t>(Cast::kF32ToF16, singles) &&
                         bf16 == cast_all<uint16_t>(Cast::kF32ToBf16, singles) &&
                         from_f16 == cast_all<uint32_t>(Cast::kF16ToF32, all_halves());
#if defined(__SSE2__)
    _mm_setcsr(control);
#endif
    std::fesetround(before);
    EXPECT_TRUE(is_same) << mode;
  }
}

TEST(Cast, CodesAreThoseOfTheFormat) {
  EXPECT_FALSE(is_known(static_cast<Cast>(0)));
  EXPECT_FALSE(is_known(static_cast<Cast>(5)));
  EXPECT_TRUE(is_known(static_cast<Cast>(1)) && is_known(static_cast<Cast>(4)));
  EXPECT_EQ(source_bytes(Cast::kF32ToF16), 4u);
  EXPECT_EQ(target_bytes(Cast::kF32ToF16), 2u);
  EXPECT_EQ(source_bytes(Cast::kBf16ToF32), 2u);
  EXPECT_EQ(target_bytes(Cast::kBf16ToF32), 4u);
}

// nullptr: the widest that this machine has.
INSTANTIATE_TEST_SUITE_P(Kernels, Casts, testing::Values(&kItemsPortable, nullptr),
                         [](const auto& kernel) {
                           return kernel.param == nullptr ? "widest" : kernel.param->name;
                         });

}  // namespace
}  // namespace cairn
