#include "cli/report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMi = uint64_t{1} << 20;

TEST(ByteAxis, StepsThatReadWell) {
  EXPECT_THAT(byte_axis(0).ticks, ElementsAre(0, 1));
  EXPECT_THAT(byte_axis(3).ticks, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(byte_axis(145 * kMi).ticks, ElementsAre(0, 50 * kMi, 100 * kMi));
  EXPECT_THAT(byte_axis(1001 * kMi).ticks, ElementsAre(0, 500 * kMi, 1000 * kMi));
}

TEST(ByteAxis, EveryAmountHasAnAxis) {
  for (uint64_t largest = 1; largest < (uint64_t{1} << 62); largest += largest / 3 + 1) {
    const ByteAxis axis = byte_axis(largest);
    EXPECT_EQ(axis.top, largest);
    EXPECT_GE(axis.ticks.size(), 2u) << largest;
    EXPECT_LE(axis.ticks.size(), 5u) << largest;
    EXPECT_EQ(axis.ticks.front(), 0u);
    EXPECT_LE(axis.ticks.back(), largest);
    EXPECT_LT(largest / 4, axis.ticks.back()) << largest;
  }
  EXPECT_GE(byte_axis(UINT64_MAX).ticks.size(), 2u);
}

TEST(ByteAxis, TicksAreWholeUnits) {
  EXPECT_EQ(tick_label(0), "0");
  EXPECT_EQ(tick_label(500), "500 B");
  EXPECT_EQ(tick_label(200 * kMi), "200 MiB");
  EXPECT_EQ(tick_label(2048 * kMi), "2 GiB");
}

TagEntry tag(std::string name, uint64_t commit, std::optional<int64_t> step = {}) {
  TagEntry entry;
  entry.name = std::move(name);
  entry.commit = commit;
  entry.step = step;
  return entry;
}

TEST(ColumnAxis, NamesStepsWhereAllTagsHaveThem) {
  ReportView view;
  view.facts.tags = arrange_tags({tag("r/a", 1, 10), tag("r/b", 2, 20)}, 100);
  EXPECT_THAT(column_axis(view), HasSubstr("<span>step</span>"));
  EXPECT_THAT(column_axis(view), HasSubstr(">20</span>"));
  EXPECT_THAT(column_axis(view), HasSubstr("<bdi>r/</bdi>"));
  view.facts.tags = arrange_tags({tag("r/first", 1, 10), tag("r/second", 2)}, 100);
  EXPECT_THAT(column_axis(view), HasSubstr("<span>tag</span>"));
  EXPECT_THAT(column_axis(view), HasSubstr(">second</span>"));
}

TEST(ColumnAxis, FewLabelsOfManyColumnsAndNoNamesOfManyGroups) {
  std::vector<TagEntry> tags;
  for (uint64_t i = 0; i < 90; ++i) tags.push_back(tag("g" + std::to_string(i) + "/t", i, i));
  ReportView view;
  view.facts.tags = arrange_tags(tags, 100);
  const std::string axis = column_axis(view);
  size_t labels = 0;
  for (size_t at = axis.find("class=\"tick"); at != std::string::npos;
       at = axis.find("class=\"tick", at + 1)) {
    ++labels;
  }
  EXPECT_GE(labels, 6u);
  EXPECT_LE(labels, 9u);
  EXPECT_THAT(axis, Not(HasSubstr("class=\"group\"")));
}

TEST(ColumnAxis, TitlesOfColumns) {
  ReportView view;
  view.facts.tags = arrange_tags({tag("r/1", 1), tag("r/2", 2), tag("r/3", 3)}, 2);
  const auto& columns = view.facts.tags.columns;
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(column_title(view, columns[0]), "r/1");
  EXPECT_EQ(column_title(view, columns[1]), "r/2 to r/3 (2 tags)");
}

}  // namespace
}  // namespace cairn
