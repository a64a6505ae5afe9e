#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn {
namespace {

/// The code point's bytes as the definition of UTF-8 gives them, overlong where `bytes` asks for
/// it.
std::string encoded(uint32_t point, size_t bytes) {
  if (bytes == 1) return std::string(1, static_cast<char>(point));
  std::string text(bytes, '\0');
  for (size_t i = bytes; i-- > 1; point >>= 6) text[i] = static_cast<char>(0x80 | (point & 0x3f));
  text[0] = static_cast<char>((0xf00 >> bytes) | point);
  return text;
}

size_t shortest(uint32_t point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

TEST(Utf8, EveryCodePointInItsShortestFormOnly) {
  for (uint32_t point = 0; point <= 0x10ffff; ++point) {
    const bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    ASSERT_EQ(is_utf8(encoded(point, shortest(point))), !is_surrogate) << std::hex << point;
    for (size_t longer = shortest(point) + 1; longer <= 4; ++longer) {
      ASSERT_FALSE(is_utf8(encoded(point, longer))) << std::hex << point;
    }
  }
  EXPECT_FALSE(is_utf8(encoded(0x110000, 4)));
}

TEST(Utf8, TextMustBeWhole) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("weights/größe/重み/\U0001f5ff"));
  EXPECT_FALSE(is_utf8("\x80")) << "a byte that follows nothing";
  EXPECT_FALSE(is_utf8("a\xe9")) << "Latin-1";
  EXPECT_FALSE(is_utf8("\xe2\x82")) << "cut short";
  EXPECT_FALSE(is_utf8("\xe2\x82x"));
  EXPECT_FALSE(is_utf8("\xff"));
}

TEST(Utf8, MessagesShowAnyBytes) {
  EXPECT_EQ(shown("w.0"), "w.0");
  EXPECT_EQ(shown("a\n\xf6\x7f"), "a\\x0a\\xf6\\x7f");
  EXPECT_EQ(shown(std::string(61, 'x')), std::string(60, 'x') + "...");
}

}  // namespace
}  // namespace cairn
