#include "base/base64.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

// RFC 4648, section 10.
TEST(Base64, KnownTexts) {
  const std::pair<const char*, const char*> kKnown[] = {{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : kKnown) {
    EXPECT_EQ(to_base64(as_bytes(plain)), text);
    const auto back = from_base64(text);
    ASSERT_TRUE(back.has_value()) << text;
    EXPECT_EQ(as_text(*back), plain);
  }
}

TEST(Base64, AllBytes) {
  Bytes all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<uint8_t>(byte));
  EXPECT_EQ(from_base64(to_base64(all)), all);
}

TEST(Base64, WhatItDoesNotMake) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "=g==", "Zm9v\n", "Zm-v", "Z==="}) {
    EXPECT_FALSE(from_base64(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace cairn
