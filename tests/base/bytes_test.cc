#include "base/bytes.h"

#include <gtest/gtest.h>
#include <limits>

namespace cairn {
namespace {

TEST(Bytes, LoadsAndStoresLittleEndian) {
  Bytes bytes;
  append_le<uint32_t>(bytes, 0x04030201);
  append_le<uint8_t>(bytes, 5);
  EXPECT_EQ(bytes, (Bytes{1, 2, 3, 4, 5}));
  EXPECT_EQ(load_le<uint16_t>(bytes, 3), 0x0504);
  store_le<uint16_t>(bytes, 0, 0xbbaa);
  EXPECT_EQ(bytes[0], 0xaa);
  EXPECT_EQ(bytes[1], 0xbb);
}

TEST(Bytes, ArithmeticSaysWhenItOverflows) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(checked_add<uint64_t>(kMax, 0), kMax);
  EXPECT_EQ(checked_add<uint64_t>(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_mul<uint64_t>(uint64_t{1} << 32, uint64_t{1} << 31), uint64_t{1} << 63);
  EXPECT_EQ(checked_mul<uint64_t>(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
}

TEST(Bytes, RoundsUp) {
  EXPECT_EQ(round_up(0, 8), 0u);
  EXPECT_EQ(round_up(1, 8), 8u);
  EXPECT_EQ(round_up(8, 8), 8u);
  EXPECT_EQ(ceil_div(9, 8), 2u);
  EXPECT_EQ(ceil_div(std::numeric_limits<uint64_t>::max(), 1),
            std::numeric_limits<uint64_t>::max());
}

TEST(Bytes, HexRoundTrips) {
  const Bytes bytes = {0x00, 0x1f, 0xa0, 0xff};
  EXPECT_EQ(to_hex(bytes), "001fa0ff");
  Bytes back(4);
  EXPECT_TRUE(from_hex("001fa0ff", back));
  EXPECT_EQ(back, bytes);
  EXPECT_FALSE(from_hex("001fa0f", back));
  EXPECT_FALSE(from_hex("001fa0fg", back));
  EXPECT_FALSE(from_hex("001FA0FF", back));
}

}  // namespace
}  // namespace cairn
