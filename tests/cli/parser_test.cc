#include "cli/parser.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

struct Targets {
  bool force = false;
  std::string text = "default";
  std::string optional;
  std::vector<std::string> many;
  std::string first, second;
};

FlagSet declared(Targets& targets) {
  FlagSet flags;
  flags.on_off("force", &targets.force, 'f');
  flags.text("text", &targets.text, 't');
  flags.choice<std::string>("mode", &targets.optional, {{"true", "on"}, {"lines", "lines"}},
                            Takes::kOptionalValue);
  flags.texts("many", &targets.many);
  flags.positional("FIRST", &targets.first);
  flags.optional_positional("SECOND", &targets.second);
  return flags;
}

Status parse_into(Targets& targets, const std::vector<std::string>& words) {
  const FlagSet flags = declared(targets);
  CAIRN_TRY(const ParsedWords parsed, parse_words(flags, words));
  return set_from_words(flags, parsed);
}

TEST(Parser, ValuesThatLookLikeSomethingElse) {
  const struct {
    std::vector<std::string> words;
    std::string text, first;
  } kTable[] = {
      {{"--text=", "a"}, "", "a"},
      {{"--text", "", "a"}, "", "a"},
      {{"--text=a=b", "c"}, "a=b", "c"},
      {{"--text", "-5", "c"}, "-5", "c"},
      {{"--text", "[a,b]", "c"}, "[a,b]", "c"},
      {{"-tx", "c"}, "x", "c"},
      {{"--", "--text"}, "default", "--text"},
      {{"--", "--text=x"}, "default", "--text=x"},
      {{"-"}, "default", "-"},
      {{"--text", "1", "--text", "2", "c"}, "2", "c"},
      {{"[ab]"}, "default", "[ab]"},
      {{"", "x"}, "default", ""},
  };
  for (const auto& row : kTable) {
    Targets targets;
    const Status status = parse_into(targets, row.words);
    ASSERT_TRUE(status.has_value()) << status.error().message;
    EXPECT_EQ(targets.text, row.text);
    EXPECT_EQ(targets.first, row.first);
  }
}

TEST(Parser, AnOptionalValueNeverTakesThePositional) {
  Targets targets;
  ASSERT_TRUE(parse_into(targets, {"--mode", "lines"}).has_value());
  EXPECT_EQ(targets.optional, "on");
  EXPECT_EQ(targets.first, "lines");
  ASSERT_TRUE(parse_into(targets, {"--mode=lines", "x"}).has_value());
  EXPECT_EQ(targets.optional, "lines");
}

TEST(Parser, ARepeatedFlagTakesOneValueEach) {
  Targets targets;
  ASSERT_TRUE(parse_into(targets, {"--many", "a", "p", "--many", "b", "-f"}).has_value());
  EXPECT_EQ(targets.many, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(targets.first, "p");
  EXPECT_TRUE(targets.force);
  ASSERT_TRUE(parse_into(targets, {"--force=false", "p"}).has_value());
  EXPECT_FALSE(targets.force);
}

TEST(Parser, EveryRefusalIsUsage) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"a", "b", "c"},
                                             {"a", "--text"},
                                             {"a", "--nope"},
                                             {"a", "-x"},
                                             {"a", "--mode=odd"},
                                             {"a", "--force=odd"},
                                             {"a", "-fx"},
                                             {"a", "---"}}) {
    Targets targets;
    const Status status = parse_into(targets, words);
    ASSERT_FALSE(status.has_value()) << (words.empty() ? "" : words.back());
    EXPECT_EQ(status.error().code, Code::kUsage);
    EXPECT_FALSE(status.error().message.empty());
  }
}

}  // namespace
}  // namespace cairn
