#include "lib/formats/rank_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace cairn {
namespace {

using ::testing::HasSubstr;

Result<RankLayout> layout_of(const std::string& text) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("rank_layout_test." + std::to_string(getpid()));
  std::ofstream(path) << text;
  auto layout = read_rank_layout(posix_fs(), path);
  std::filesystem::remove(path);
  return layout;
}

TEST(RankLayout, TheFirstCutThatMatches) {
  const auto layout = layout_of(R"({"format": "nxd", "cuts": [
      {"match": ["a.*", "b"], "dim": 1}, {"match": "*", "dim": 0, "stride": 3, "axis": "ep"}]})");
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->cut_of("a.x")->dim, 1U);
  EXPECT_EQ(layout->cut_of("b")->axis, "tp");
  EXPECT_EQ(layout->cut_of("c")->stride, 3U);
  EXPECT_EQ(layout->cut_of("c")->axis, "ep");
}

TEST(RankLayout, WhatIsNotUnderstood) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "JSON"},
      {"[]", "JSON"},
      {"{}", "format"},
      {R"({"format": "x"})", "format"},
      {R"({"files": "model.pt"})", "{tp}"},
      {R"({"files": 3})", "text"},
      {R"({"format": "nxd", "cuts": 3})", "list"},
      {R"({"format": "nxd", "cuts": [{}]})", "'match'"},
      {R"({"format": "nxd", "cuts": [{"match": "a", "dim": -1}]})", "'dim'"},
      {R"({"format": "nxd", "cuts": [{"match": 1, "dim": 1}]})", "'match'"},
      {R"({"format": "nxd", "cuts": [{"match": "a", "dim": 1, "stride": 0}]})", "'stride'"},
      {R"({"format": "nxd", "cuts": [{"match": "a", "dim": 1, "axis": "xp"}]})", "'axis'"},
      {R"({"format": "nxd", "cut": []})", "'cut'"}};
  for (const auto& [text, why] : kCases) {
    const auto layout = layout_of(text);
    ASSERT_FALSE(layout) << text;
    EXPECT_EQ(layout.error().code, Code::kUsage);
    EXPECT_THAT(layout.error().message, HasSubstr(why)) << text;
  }
}

TEST(RankLayout, RanksOfPaths) {
  const std::string pattern = "model/dp_rank_{dp}_tp_rank_{tp}.pt";
  EXPECT_EQ(ranks_of_path(pattern, "model/dp_rank_00_tp_rank_13.pt"),
            (std::map<std::string, uint64_t>{{"dp", 0}, {"tp", 13}}));
  for (const char* path : {"model/dp_rank_00_tp_rank_.pt", "model/dp_rank_00_tp_rank_1.pt.tmp",
                           "x/model/dp_rank_00_tp_rank_1.pt", "model/dp_rank_0", "",
                           "model/dp_rank_1234567890_tp_rank_1.pt"}) {
    EXPECT_EQ(ranks_of_path(pattern, path), std::nullopt) << path;
  }
}

TEST(RankLayout, PiecesOfARank) {
  Shape whole;
  const auto plain = pieces_of_rank({.match = {}, .dim = 1}, {4, 6}, 2, 3, whole);
  ASSERT_TRUE(plain);
  EXPECT_EQ(whole, (Shape{4, 18}));
  ASSERT_EQ(plain->size(), 1U);
  EXPECT_EQ(plain->front().box, (Box{{0, 12}, {4, 6}}));
  const auto fused =
      pieces_of_rank({.match = {}, .dim = 0, .axis = "tp", .stride = 2}, {4, 6}, 1, 3, whole);
  ASSERT_TRUE(fused);
  ASSERT_EQ(fused->size(), 2U);
  EXPECT_EQ((*fused)[0].box, (Box{{2, 0}, {2, 6}}));
  EXPECT_EQ((*fused)[1].box, (Box{{8, 0}, {2, 6}}));
  EXPECT_EQ((*fused)[1].own, 2U);
  EXPECT_FALSE(pieces_of_rank({.match = {}, .dim = 2}, {4, 6}, 0, 1, whole));
  EXPECT_FALSE(
      pieces_of_rank({.match = {}, .dim = 0, .axis = "tp", .stride = 3}, {4, 6}, 0, 1, whole));
}

}  // namespace
}  // namespace cairn
