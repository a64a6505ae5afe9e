#include "cli/options.h"

#include <gtest/gtest.h>

#include "cli/help.h"

namespace cairn {
namespace {

// The page of a command names each of its flags, and no flag hides a global one.
template <class Options>
void check_against_page(const std::string& command) {
  FlagSet global;
  GlobalOptions unused;
  declare(global, unused);
  FlagSet flags;
  Options options;
  declare(flags, options);
  const HelpPage* page = find_help_page(command);
  ASSERT_NE(page, nullptr) << command;
  for (const Flag& flag : flags.flags()) {
    EXPECT_NE(page->text.find("\n    --" + flag.name), std::string::npos)
        << command << " --" << flag.name;
    EXPECT_EQ(global.find(flag.name), nullptr) << flag.name;
  }
  for (const Positional& positional : flags.positionals())
    EXPECT_NE(page->text.find(positional.name), std::string::npos) << positional.name;
}

TEST(Options, EveryFlagHasItsWordsInThePage) {
  check_against_page<InitOptions>("init");
  check_against_page<ImportOptions>("import");
  check_against_page<ExportOptions>("export");
  check_against_page<LsOptions>("ls");
  check_against_page<ShowOptions>("show");
  check_against_page<DiffOptions>("diff");
  check_against_page<CatOptions>("cat");
  check_against_page<StatsOptions>("stats");
  check_against_page<TagOptions>("tag");
  check_against_page<CheckOptions>("check");
  check_against_page<VersionOptions>("version");
  check_against_page<HelpOptions>("help");
}

TEST(Options, ReadDataWithoutAValueIsAll) {
  CheckOptions options;
  FlagSet flags;
  declare(flags, options);
  ASSERT_TRUE(flags.find("read-data")->set("true").has_value());
  EXPECT_EQ(options.read_data_percent, 100);
  ASSERT_TRUE(flags.find("read-data")->set("5%").has_value());
  EXPECT_EQ(options.read_data_percent, 5);
  EXPECT_FALSE(flags.find("read-data")->set("0").has_value());
}

}  // namespace
}  // namespace cairn
