#include "base/suggest.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Suggest, EditDistance) {
  const struct {
    const char *a, *b;
    size_t edits;
  } kTable[] = {
      {"", "", 0},           {"", "abc", 3},          {"abc", "", 3},  {"abc", "abc", 0},
      {"abc", "abd", 1},     {"abc", "ab", 1},        {"ab", "ba", 1}, {"improt", "import", 1},
      {"stats", "start", 2}, {"kitten", "sitting", 3}};
  for (const auto& row : kTable) {
    EXPECT_EQ(edit_distance(row.a, row.b), row.edits) << row.a << ' ' << row.b;
    EXPECT_EQ(edit_distance(row.b, row.a), row.edits) << row.b << ' ' << row.a;
  }
}

TEST(Suggest, NearNamesAreBestFirstAndNeverFar) {
  const std::vector<std::string> names = {"import", "export", "show", "stats", "tag"};
  EXPECT_EQ(near_names("improt", names), std::vector<std::string>{"import"});
  EXPECT_EQ(near_names("xport", names), std::vector<std::string>{"export"});
  EXPECT_EQ(near_names("sta", names), std::vector<std::string>{"stats"});
  EXPECT_TRUE(near_names("frobnicate", names).empty());
  EXPECT_TRUE(near_names("", names).empty());
  EXPECT_EQ(near_names("run7/step-1",
                       std::vector<std::string>{"run7/step-3", "run7/step-2", "x", "run7/step-10",
                                                "run7/step-4"},
                       3),
            (std::vector<std::string>{"run7/step-10", "run7/step-2", "run7/step-3"}));
}

TEST(Suggest, DidYouMean) {
  const std::vector<std::string> names = {"force", "format"};
  EXPECT_EQ(did_you_mean("forse", names, "--"), "did you mean '--force'?");
  EXPECT_EQ(did_you_mean("for", names), "did you mean 'force' or 'format'?");
  EXPECT_EQ(did_you_mean("zzz", names), "");
}

}  // namespace
}  // namespace cairn
