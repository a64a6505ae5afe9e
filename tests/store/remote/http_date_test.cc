#include "store/remote/http_date.h"

#include <gtest/gtest.h>

namespace cairn::remote {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(HttpDate, OfHttp) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777 * kSecond);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199 * kSecond);
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800 * kSecond);
}

TEST(HttpDate, OtherTextIsNone) {
  for (const char* text : {"", "now", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET",
                           "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 9999 08:49:37 GMT",
                           "Sun, 06 Nov 1994 -1:49:37 GMT", "Sun, 0x Nov 1994 08:49:37 GMT"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

TEST(HttpDate, OfAws) {
  EXPECT_EQ(parse_rfc3339("2026-01-31T23:59:59Z"), 1769903999 * kSecond);
  EXPECT_EQ(parse_rfc3339("2026-01-31T23:59:59.123Z"), 1769903999 * kSecond);
  for (const char* text : {"", "2026-01-31", "2026-01-31 23:59:59Z", "2026-13-31T23:59:59Z",
                           "2026-01-31T23:59:59+01:00", "2026-01-3xT23:59:59Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_EQ(format_amz_date(1769903999 * kSecond), "20260131T235959Z");
  EXPECT_EQ(format_amz_date(0), "19700101T000000Z");
}

}  // namespace
}  // namespace cairn::remote
