#include "base/parse.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Parse, Sizes) {
  const struct {
    const char* text;
    uint64_t bytes;
  } kTable[] = {{"0", 0},
                {"4096", 4096},
                {"512MiB", 536'870'912},
                {"5GB", 5'000'000'000},
                {"1.5KiB", 1536},
                {"2k", 2048},
                {"1 GiB", 1'073'741'824},
                {"10b", 10},
                {"0.5tb", 500'000'000'000},
                {"18446744073709551615", UINT64_MAX}};
  for (const auto& row : kTable)
    EXPECT_EQ(parse_size(row.text).value_or(99), row.bytes) << row.text;
  for (const char* text : {"", "GB", "-1", "1.2.3", "5 parsecs", "nan", "inf", "1e3", "0x10", ".",
                           "18446744073709551616", "16777216TiB", "99999999999.5TiB"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size.has_value()) << text;
    EXPECT_EQ(size.error().code, Code::kUsage);
    EXPECT_NE(size.error().message.find(std::string("'") + text + "'"), std::string::npos);
  }
}

TEST(Parse, Durations) {
  const struct {
    const char* text;
    uint64_t seconds;
  } kTable[] = {{"0", 0},          {"60", 60},         {"90s", 90},
                {"15m", 900},      {"36h", 129'600},   {"7d", 604'800},
                {"2w", 1'209'600}, {"1d12h", 129'600}, {"1H", 3600}};
  for (const auto& row : kTable)
    EXPECT_EQ(parse_duration_s(row.text).value_or(99), row.seconds) << row.text;
  for (const char* text :
       {"", "h", "1x", "1h30", "1.5h", "-3s", "99999999999999999999s", "9999999999999999999w"})
    EXPECT_FALSE(parse_duration_s(text).has_value()) << text;
}

TEST(Parse, CountsPercentsAndTruth) {
  EXPECT_EQ(parse_count("12").value_or(0), 12u);
  for (const char* text : {"", "-1", "1.0", "12x", "18446744073709551616"})
    EXPECT_FALSE(parse_count(text).has_value()) << text;
  EXPECT_EQ(parse_percent("5%").value_or(0), 5);
  EXPECT_EQ(parse_percent("0.1").value_or(0), 0.1);
  EXPECT_EQ(parse_percent("100 %").value_or(0), 100);
  for (const char* text : {"", "0", "101", "-5", "%", "nan"})
    EXPECT_FALSE(parse_percent(text).has_value()) << text;
  EXPECT_TRUE(parse_bool("Yes").value_or(false));
  EXPECT_FALSE(parse_bool("off").value_or(true));
  EXPECT_FALSE(parse_bool("maybe").has_value());
}

TEST(Parse, KeyValues) {
  const auto pair = parse_key_value("lr=3e-4=x");
  ASSERT_TRUE(pair.has_value());
  EXPECT_EQ(pair->key, "lr");
  EXPECT_EQ(pair->value, "3e-4=x");
  EXPECT_EQ(parse_key_value("a=").value().value, "");
  EXPECT_FALSE(parse_key_value("=a").has_value());
  EXPECT_FALSE(parse_key_value("a").has_value());
}

TEST(Parse, StoresAreFoldersOrUrls) {
  EXPECT_EQ(parse_store("/data/store").value(), "/data/store");
  EXPECT_EQ(parse_store("file:///data/store").value(), "/data/store");
  EXPECT_EQ(parse_store("data/x://y").value(), "data/x://y");
  EXPECT_EQ(parse_store("").value(), "");
  EXPECT_EQ(parse_store("S3://Bucket/Up").value(), "s3://Bucket/Up");
  for (const char* text : {"s3://bucket/x", "https://host/x"}) {
    EXPECT_EQ(parse_store(text).value(), text);
  }
  for (const char* text : {"gopher://host/x", "://"}) {
    EXPECT_EQ(parse_store(text).error().code, Code::kUsage) << text;
  }
}

TEST(Parse, Boxes) {
  const auto box = parse_box(" 0:4, : ,7: , :9");
  ASSERT_TRUE(box.has_value());
  ASSERT_EQ(box->size(), 4u);
  EXPECT_EQ((*box)[0].start, 0u);
  EXPECT_EQ((*box)[0].stop, 4u);
  EXPECT_FALSE((*box)[1].start || (*box)[1].stop);
  EXPECT_EQ((*box)[2].start, 7u);
  EXPECT_FALSE((*box)[2].stop);
  EXPECT_EQ((*box)[3].stop, 9u);
  EXPECT_TRUE(parse_box("").value().empty());
  EXPECT_EQ(parse_box("3:3").value().size(), 1u);
  for (const char* text : {"3", "0:4,", ",", "a:b", "-1:", "4:0", "0:1:2", "0:4;:"})
    EXPECT_FALSE(parse_box(text).has_value()) << text;
}

}  // namespace
}  // namespace cairn
