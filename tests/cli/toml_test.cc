#include "cli/toml.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Toml, ReadsWhatSettingsNeed) {
  const auto entries = parse_toml(
      "# head\n"
      "store = \"/data/a # b, c\"  # tail\r\n"
      "limit=1_000\n"
      "\n[import]\n"
      "'if-exists' = 'same\\'\n"
      "meta = [ \"a=\\\"1\\\"\", # why\n \"b\", ]\n"
      "force = true",
      "f");
  ASSERT_TRUE(entries.has_value()) << entries.error().message;
  ASSERT_EQ(entries->size(), 5u);
  EXPECT_EQ((*entries)[0].values, std::vector<std::string>{"/data/a # b, c"});
  EXPECT_EQ((*entries)[0].line, 2u);
  EXPECT_EQ((*entries)[1].values, std::vector<std::string>{"1000"});
  EXPECT_EQ((*entries)[2].table, "import");
  EXPECT_EQ((*entries)[2].key, "if-exists");
  EXPECT_EQ((*entries)[2].values, std::vector<std::string>{"same\\"});
  EXPECT_EQ((*entries)[3].values, (std::vector<std::string>{"a=\"1\"", "b"}));
  EXPECT_EQ((*entries)[4].line, 9u);
}

TEST(Toml, RefusesWithTheLine) {
  for (const char* text :
       {"\nstore", "\nstore = ", "\nstore = bare", "\nstore = \"open", "\n[import", "\n = 1",
        "\na = 1 b = 2", "\na = [1 2]", "\na = [1,", "\na = \"\\q\"", "a = 1\na = 2", "\na.b = 1",
        "\na = {}", "\na = \"\\"}) {
    const auto entries = parse_toml(text, "f.toml");
    ASSERT_FALSE(entries.has_value()) << text;
    EXPECT_EQ(entries.error().code, Code::kUsage);
    EXPECT_NE(entries.error().message.find("'f.toml', line 2"), std::string::npos)
        << entries.error().message;
  }
}

}  // namespace
}  // namespace cairn
