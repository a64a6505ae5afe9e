#include "cli/settings.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Settings, EnvironmentNames) {
  EXPECT_EQ(environment_name("store"), "CAIRN_STORE");
  EXPECT_EQ(environment_name("max-shard-size"), "CAIRN_MAX_SHARD_SIZE");
}

TEST(Settings, NoFileIsNoSettings) {
  const auto file = read_settings_file([](const std::string& name) -> std::optional<std::string> {
    if (name == "HOME") return "/nonexistent";
    return std::nullopt;
  });
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->path, "/nonexistent/.config/cairn/config.toml");
  EXPECT_TRUE(file->entries.empty());
}

TEST(Settings, ArraysFillOnlyFlagsThatRepeat) {
  const Environment empty = [](const std::string&) { return std::nullopt; };
  std::vector<std::string> many;
  std::string one;
  FlagSet flags;
  flags.texts("many", &many);
  flags.text("one", &one);
  const SettingsFile good{"f", {{"x", "many", {"a", "b"}, 1}}};
  ASSERT_TRUE(set_from_settings(flags, {}, "x", empty, good).has_value());
  EXPECT_EQ(many, (std::vector<std::string>{"a", "b"}));
  const SettingsFile bad{"f", {{"", "one", {"a", "b"}, 7}}};
  const Status status = set_from_settings(flags, {}, "x", empty, bad);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message, "'f', line 7, 'one': one value is expected");
  // Tables of other commands do not count.
  const SettingsFile other{"f", {{"y", "one", {"a"}, 1}}};
  ASSERT_TRUE(set_from_settings(flags, {}, "x", empty, other).has_value());
  EXPECT_EQ(one, "");
}

TEST(Settings, WhatNoCommandKnowsIsNamed) {
  FlagSet flags;
  std::string text;
  flags.text("base", &text);
  const KnownFlags known = {{"import", {"base"}}, {"gc", {"min-dead"}}};
  const SettingsFile file{"f",
                          {{"", "min-dead", {"1"}, 1},
                           {"", "min-dad", {"1"}, 2},
                           {"imprt", "base", {"a"}, 4},
                           {"imprt", "x", {"a"}, 5},
                           {"import", "bass", {"a"}, 7},
                           {"gc", "nothing", {"a"}, 9}}};
  EXPECT_EQ(settings_warnings(flags, "import", known, file),
            (std::vector<std::string>{
                "'f', line 2: no command has a flag 'min-dad'; did you mean 'min-dead'?",
                "'f', line 4: there is no command 'imprt'; did you mean 'import'?",
                "'f', line 7: import has no flag 'bass'; did you mean 'base'?"}));
}

}  // namespace
}  // namespace cairn
