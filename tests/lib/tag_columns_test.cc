#include "lib/tag_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn {
namespace {

TagEntry tag(std::string name, uint64_t commit) {
  TagEntry entry;
  entry.name = std::move(name);
  entry.commit = commit;
  return entry;
}

std::vector<std::string> names(const TagColumns& columns) {
  std::vector<std::string> names;
  for (const TagEntry& entry : columns.tags) names.push_back(entry.name);
  return names;
}

/// Groups of `count` tags each.
std::vector<TagEntry> runs(int groups, int count) {
  std::vector<TagEntry> tags;
  for (int i = 0; i < groups * count; ++i) {
    tags.push_back(tag("r" + std::to_string(i % groups) + "/" + std::to_string(i / groups), i + 1));
  }
  return tags;
}

/// Every tag is in one column, in order.
void expect_whole(const TagColumns& columns) {
  size_t next = 0;
  for (const TagColumn& column : columns.columns) {
    EXPECT_EQ(column.first, next);
    EXPECT_GT(column.count, 0u);
    EXPECT_LE(column.count, 2 * columns.columns.back().count) << "parts are about equal";
    next += column.count;
  }
  EXPECT_EQ(next, columns.tags.size());
}

TEST(TagColumns, GroupsByFirstCommitTagsByCommit) {
  const auto columns = arrange_tags(
      {tag("b/1", 1), tag("a/9", 2), tag("top", 3), tag("b/0", 4), tag("a/1", 5)}, 100);
  EXPECT_THAT(names(columns), ::testing::ElementsAre("b/1", "b/0", "a/9", "a/1", "top"));
  ASSERT_EQ(columns.groups.size(), 3u);
  EXPECT_EQ(columns.groups[1].prefix, "a/");
  EXPECT_EQ(columns.groups[1].first, 2u);
  EXPECT_EQ(columns.groups[1].count, 2u);
  EXPECT_EQ(columns.groups[2].prefix, "");
  EXPECT_EQ(columns.columns.size(), 5u);
  expect_whole(columns);
}

TEST(TagColumns, NoTags) {
  const auto columns = arrange_tags({}, 100);
  EXPECT_TRUE(columns.columns.empty());
  EXPECT_TRUE(columns.groups.empty());
}

TEST(TagColumns, ManyTagsShareColumnsWithinTheirGroup) {
  const auto columns = arrange_tags(runs(3, 100), 100);
  EXPECT_LE(columns.columns.size(), 100u);
  EXPECT_GE(columns.columns.size(), 70u);
  expect_whole(columns);
  for (const TagColumn& column : columns.columns) {
    EXPECT_EQ(columns.tags[column.first].name.substr(0, 3),
              columns.tags[column.first + column.count - 1].name.substr(0, 3));
  }
}

TEST(TagColumns, ManyGroupsShareColumns) {
  const auto columns = arrange_tags(runs(5000, 2), 100);
  EXPECT_EQ(columns.columns.size(), 100u);
  EXPECT_EQ(columns.groups.size(), 5000u);
  expect_whole(columns);
}

}  // namespace
}  // namespace cairn
