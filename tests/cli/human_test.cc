#include "cli/human.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Human, Bytes) {
  const struct {
    uint64_t bytes;
    const char* text;
  } kTable[] = {{0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"},
                {1536, "1.5 KiB"},    {102'400, "100 KiB"},    {1'048'575, "1.0 MiB"},
                {1 << 20, "1.0 MiB"}, {UINT64_MAX, "16.0 EiB"}};
  for (const auto& row : kTable) EXPECT_EQ(human_bytes(row.bytes), row.text);
}

TEST(Human, Times) {
  EXPECT_EQ(human_age(-5), "0 s");
  EXPECT_EQ(human_age(59), "59 s");
  EXPECT_EQ(human_age(3599), "59 min");
  EXPECT_EQ(human_age(7200), "2 h");
  EXPECT_EQ(human_age(3 * 86'400), "3 d");
  EXPECT_EQ(human_age(800 * 86'400), "2 y");
  EXPECT_EQ(human_duration(0.42), "0.4 s");
  EXPECT_EQ(human_duration(59.4), "59 s");
  EXPECT_EQ(human_duration(187), "3:07");
  EXPECT_EQ(human_duration(3723), "1:02:03");
}

TEST(Human, Counts) {
  EXPECT_EQ(counted(0, "tag"), "0 tags");
  EXPECT_EQ(counted(1, "tag"), "1 tag");
  EXPECT_EQ(counted(2, "tag"), "2 tags");
}

TEST(Human, Shares) {
  EXPECT_EQ(human_percent(1, 3), "33.3 %");
  EXPECT_EQ(human_percent(0, 0), "-");
  EXPECT_EQ(human_ratio(24, 10), "2.40x");
  EXPECT_EQ(human_ratio(9999, 1000), "10.0x");
  EXPECT_EQ(human_ratio(9996, 100), "100x");
  EXPECT_EQ(human_ratio(1, 0), "-");
  EXPECT_EQ(human_percent(0.125), "12.5 %");
  EXPECT_EQ(human_percent(0.0 / 0.0), "-");
  EXPECT_EQ(human_cost(0.756), "0.76x");
  EXPECT_EQ(human_cost({}), "-");
}

TEST(Human, PrintableHidesControlBytes) { EXPECT_EQ(printable("a\x1b[2Jé\n"), "a\\x1b[2Jé\\x0a"); }

}  // namespace
}  // namespace cairn
