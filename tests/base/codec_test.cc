#include "base/codec.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

TEST(Codec, ZerosAreSeen) {
  EXPECT_TRUE(is_zero({}));
  EXPECT_TRUE(is_zero(Bytes(1, 0)));
  for (const size_t length : {1, 2, 7, 8, 9, 4096, 100001}) {
    Bytes bytes(length, 0);
    EXPECT_TRUE(is_zero(bytes));
    for (const size_t at : {size_t{0}, length / 2, length - 1}) {
      bytes[at] = 1;
      EXPECT_FALSE(is_zero(bytes)) << length << " " << at;
      bytes[at] = 0;
    }
  }
}

TEST(Codec, EveryEncodingDecodesToWhatItWas) {
  std::mt19937 random(1);
  for (const size_t length : {0, 1, 100, 65536, 1 << 20}) {
    Bytes bytes(length);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4);
    Bytes encoded(length + 1024), out(length, 0xee);
    const auto count = zstd_encode(bytes, 3, encoded);
    ASSERT_TRUE(count);
    ASSERT_TRUE(decode(Encoding::kZstd, ByteSpan(encoded).first(*count), out));
    EXPECT_EQ(out, bytes);
    ASSERT_TRUE(decode(Encoding::kRaw, bytes, out));
    EXPECT_EQ(out, bytes);
    ASSERT_TRUE(decode(Encoding::kZero, {}, out));
    EXPECT_TRUE(is_zero(out));
  }
}

TEST(Codec, WhatDoesNotFitIsRefused) {
  Bytes noise(5000);
  std::mt19937 random(2);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
  Bytes small(2500);
  EXPECT_FALSE(zstd_encode(noise, 1, small));
}

TEST(Codec, ZstdIsOneFrame) {
  const Bytes half(500, 7);
  Bytes encoded(200), out(1000);
  encoded.resize(*zstd_encode(half, 3, encoded));
  Bytes two = encoded;
  append_bytes(two, encoded);
  EXPECT_EQ(decode(Encoding::kZstd, two, out).error().code, Code::kCorrupt);
}

TEST(Codec, DamageIsNeverTakenForData) {
  Bytes bytes(3000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i / 10);
  Bytes encoded(4000), out(bytes.size());
  encoded.resize(*zstd_encode(bytes, 3, encoded));
  for (size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_FALSE(decode(Encoding::kZstd, ByteSpan(encoded).first(length), out)) << length;
  }
  for (const size_t wrong : {size_t{0}, bytes.size() - 1, bytes.size() + 1}) {
    Bytes room(wrong);
    EXPECT_EQ(decode(Encoding::kZstd, encoded, room).error().code, Code::kCorrupt) << wrong;
    EXPECT_EQ(decode(Encoding::kRaw, bytes, room).error().code, Code::kCorrupt) << wrong;
  }
  EXPECT_EQ(decode(Encoding::kZero, Bytes{0}, out).error().code, Code::kCorrupt);
}

TEST(Codec, EncodingsOfLaterVersionsAreCalledThat) {
  Bytes out(4);
  for (const int code : {8, 9, 255}) {
    EXPECT_EQ(decode(static_cast<Encoding>(code), {}, out).error().code, Code::kNewerFormat);
    EXPECT_EQ(encoding_name(static_cast<Encoding>(code)), "unknown");
    EXPECT_FALSE(is_known(static_cast<Encoding>(code)));
  }
  for (int code = 0; code < 8; ++code) {
    EXPECT_NE(encoding_name(static_cast<Encoding>(code)), "unknown");
    EXPECT_TRUE(is_known(static_cast<Encoding>(code)));
  }
}

}  // namespace
}  // namespace cairn
