#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn {
namespace {

TEST(Glob, Matches) {
  const struct {
    const char *pattern, *text;
    bool matches;
  } kTable[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "a/b", true},
      {"run7/*", "run7/a/b", true},
      {"run7/*", "run7", false},
      {"run7/*", "run70/a", false},
      {"?", "/", true},
      {"?", "", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"*.weight", "l.0.weight", true},
      {"*a*b", "xaxxbxb", true},
      {"*a*b", "xaxxbxc", false},
      {"[abc]x", "bx", true},
      {"[a-c]x", "dx", false},
      {"[!a-c]x", "dx", true},
      {"[^a]", "a", false},
      {"[]]", "]", true},
      {"[", "[", true},
      {"[a", "[a", true},
      {"[a-]", "-", true},
      {"a*", "b", false},
      {"**", "abc", true},
      {"step-[0-9]*", "step-12", true},
      {"x[0-9]", "xa", false},
      {"[ab]", "a", true},
  };
  for (const auto& row : kTable)
    EXPECT_EQ(glob_match(row.pattern, row.text), row.matches) << row.pattern << ' ' << row.text;
}

TEST(Glob, ManyStarsStayFast) {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern + "b", std::string(3000, 'a')));
}

}  // namespace
}  // namespace cairn
