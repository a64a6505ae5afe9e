#include "cli/report/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/report/age_plot.h"
#include "cli/report/encoding_plots.h"
#include "cli/report/heat_map.h"
#include "cli/report/reduction_table.h"
#include "cli/report/size_plots.h"
#include "cli/report/tag_table.h"
#include "cli/report/usage_plots.h"

namespace cairn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TagEntry tag(std::string name, uint64_t commit, uint64_t bytes, uint64_t new_bytes) {
  TagEntry entry;
  entry.name = std::move(name);
  entry.commit = commit;
  entry.created_ns = static_cast<int64_t>(commit) * 60'000'000'000;
  entry.facts.logical_bytes = bytes;
  entry.facts.new_bytes = new_bytes;
  return entry;
}

ReportView two_tags() {
  ReportView view;
  view.store = "/data/<store>";
  view.now_ns = 3'600'000'000'000;
  view.facts.tags = arrange_tags({tag("r/1", 1, 4000, 4000), tag("r/2", 2, 4000, 1000)}, 100);
  view.facts.usage.tags = 2;
  view.facts.usage.disk_bytes = 1000;
  view.facts.usage.stored_bytes = 700;
  view.facts.reclaimable_bytes = 200;
  view.facts.usage.by_class = {{"weight", {8000, 500}}, {"metadata", {0, 200}}};
  view.facts.usage.by_class_and_encoding = {
      {"history", {{Encoding::kPlanes, {1, 400, 300}}}},
      {"weight", {{Encoding::kRaw, {5, 500, 500}}, {Encoding::kZero, {2, 4500, 0}}}}};
  view.facts.usage.by_tag["r/1"].added = {{Encoding::kRaw, {5, 500, 500}}};
  TagUsage& second = view.facts.usage.by_tag["r/2"];
  second.added = {{std::nullopt, {1, 100, 100}}, {Encoding::kReplay, {1, 100, 25}}};
  second.read = {{Encoding::kPlanes, {1, 4000, 3000}}, {Encoding::kReplay, {1, 4000, 0}}};
  view.facts.changes = {{{"w", "weight", 1}}, 2, {{0, 0, 4}, {4, 1, 0}}, 0};
  view.metadata = {"loss=<1>", ""};
  return view;
}

TEST(ReportPage, IsWhole) {
  const std::string page = report_page(two_tags());
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</body></html>\n"));
  for (const std::string id :
       {"plot-size", "plot-new", "plot-encoded", "plot-restore", "plot-changes", "plot-reductions",
        "plot-classes", "plot-encodings", "plot-age", "plot-disk", "tags"}) {
    EXPECT_THAT(page, HasSubstr("id=\"" + id + "\""));
  }
  EXPECT_THAT(page, HasSubstr("/data/&lt;store&gt;"));
  EXPECT_THAT(page, HasSubstr("loss=&lt;1&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<store>")));
}

TEST(ReportPage, AnEmptyStoreSaysSo) {
  const std::string page = report_page({});
  EXPECT_THAT(page, HasSubstr("This store is empty"));
  EXPECT_THAT(page, Not(HasSubstr("plot-size")));
  EXPECT_TRUE(page.ends_with("</body></html>\n"));
}

TEST(ReportPage, Data) {
  const auto data = report_data(two_tags());
  EXPECT_EQ(data["columns"][1]["text"], "size 3.9 KiB, new 1000 B (25.0 %)");
  EXPECT_EQ(data["rows"][0]["cells"].dump(), "[[0,0,4],[4,1,0]]");
  EXPECT_EQ(data["columns"][1]["stored_by_encoding"].dump(), R"({"inline":100,"replay":25})");
  EXPECT_NEAR(data["columns"][1]["restore_cost"], (1.7 + 0.4) / 1.7, 1e-9);
  EXPECT_EQ(data["columns"][0]["restore_cost"], 1) << "it needs no other tag";
  EXPECT_EQ(data["columns"][1]["encodings"],
            "added 125 B\n100 B inline\n25 B replay\nloads in 1.2 times a keyframe's time");
}

TEST(SizePlots, ColumnsOfSeveralTagsAreMeans) {
  const auto tags = arrange_tags({tag("a", 1, 100, 10), tag("b", 2, 200, 30)}, 1);
  const ColumnSizes mean = mean_sizes(tags, tags.columns[0]);
  EXPECT_EQ(mean.logical_bytes, 150u);
  EXPECT_EQ(mean.new_bytes, 20u);
}

TEST(EncodingPlots, ColumnsOfSeveralTagsAreMeans) {
  ReportView view = two_tags();
  view.facts.tags = arrange_tags(view.facts.tags.tags, 1);
  const ColumnEncodings mean = mean_encodings(view.facts, view.facts.tags.columns[0]);
  EXPECT_EQ(mean.stored_bytes,
            (std::map<HeldAs, uint64_t>{
                {std::nullopt, 50}, {Encoding::kRaw, 250}, {Encoding::kReplay, 12}}));
  EXPECT_NEAR(mean.restore_cost, (1 + 2.1 / 1.7) / 2, 1e-9);
}

TEST(EncodingPlots, BarsStandUponEachOther) {
  const std::string plots = encoding_plots(two_tags());
  EXPECT_THAT(plots, HasSubstr("<path class=\"e-raw\" d=\"M0.10 1000v-1000h.8v1000z\"/>"));
  EXPECT_THAT(plots, HasSubstr("<path class=\"e-inline\" d=\"M1.10 1000v-200h.8v200z\"/>"));
  EXPECT_THAT(plots, HasSubstr("<path class=\"e-replay\" d=\"M1.10 800v-50h.8v50z\"/>"));
  EXPECT_THAT(plots, Not(HasSubstr("swatch e-zero"))) << "nobody stores any";
}

TEST(EncodingPlots, TheCostIsALineOfEachPrefix) {
  ReportView view = two_tags();
  EXPECT_THAT(encoding_plots(view), HasSubstr("class=\"line\" d=\"M0.5 "));
  view.facts.usage.by_tag["r/2"].read.clear();
  EXPECT_THAT(encoding_plots(view), Not(HasSubstr("plot-restore"))) << "all stand by themselves";
}

TEST(ReductionTable, ClassesWithTheirEncodingsLargestFirst) {
  const std::string table = reduction_table(two_tags().facts.usage);
  EXPECT_LT(table.find("<th>weight</th>"), table.find("<th>history</th>"));
  EXPECT_LT(table.find("</i>raw</th>"), table.find("</i>zero</th>"));
  EXPECT_THAT(table, HasSubstr("<rect class=\"size\" width=\"1000\" height=\"10\"/>"
                               "<rect class=\"e-raw\" x=\"0\" width=\"100\""));
  EXPECT_THAT(table, HasSubstr(">10.0x</td>")) << "5000 decoded to 500 stored";
}

TEST(HeatMap, Levels) {
  EXPECT_EQ(heat_level({}), kHeatAbsent);
  EXPECT_EQ(heat_level({0, 0, 3}), kHeatFirst);
  EXPECT_EQ(heat_level({1000, 0, 3}), 0);
  EXPECT_EQ(heat_level({1000, 1, 0}), 1) << "a single chunk is seen";
  EXPECT_EQ(heat_level({1000, 500, 0}), 4);
  EXPECT_EQ(heat_level({1000, 999, 0}), 8);
  EXPECT_EQ(heat_level({1000, 1000, 0}), 8);
}

TEST(HeatMap, NeighboursThatLookTheSameAreOneRectangle) {
  ReportView view = two_tags();
  view.facts.changes.cells = {{4, 4, 0}, {4, 4, 0}};
  EXPECT_THAT(heat_map(view), HasSubstr("<path class=\"h8\" d=\"M0 0h2v1h-2z\"/>"));
  view.facts.changes.cells = {{4, 4, 0}, {0, 0, 0}};
  EXPECT_THAT(heat_map(view), HasSubstr("<path class=\"h8\" d=\"M0 0h1v1h-1z\"/>"));
}

TEST(UsagePlots, LargestFirstWithRatios) {
  const ReportView view = two_tags();
  const std::string classes = class_plot(view.facts.usage);
  EXPECT_LT(classes.find("weight"), classes.find("metadata"));
  EXPECT_THAT(classes, HasSubstr(">16.0x<"));
  const std::string encodings = encoding_plot(view.facts.usage);
  EXPECT_THAT(encodings, HasSubstr("<rect class=\"new\" width=\"625\""));
  EXPECT_THAT(encodings, HasSubstr("<rect class=\"new\" width=\"0\""));
}

TEST(UsagePlots, Disk) {
  const std::string plot = disk_plot(two_tags().facts);
  EXPECT_THAT(plot, HasSubstr("would free <strong>200 B</strong> of the 1000 B on disk."));
  EXPECT_THAT(plot, HasSubstr("<i class=\"dead\" style=\"width:20.00%\">"));
  EXPECT_THAT(plot, HasSubstr("<i class=\"rest\" style=\"width:10.00%\">"));
  ReportFacts more = two_tags().facts;
  more.usage.disk_bytes = 800;  // counted while a saver wrote
  EXPECT_THAT(disk_plot(more), HasSubstr("<i class=\"rest\" style=\"width:0.00%\">"));
}

TEST(AgePlot, Bins) {
  EXPECT_THAT(time_bins({0, 9, 10, 19, 20}, 0, 20, 2), ElementsAre(2, 3));
  EXPECT_THAT(time_bins({7, 7}, 7, 7, 3), ElementsAre(2, 0, 0));
  EXPECT_THAT(time_bins({INT64_MIN, INT64_MAX}, INT64_MIN, INT64_MAX, 2), ElementsAre(1, 1));
}

TEST(AgePlot, ManyGroupsShareAStrip) {
  std::vector<TagEntry> tags;
  for (uint64_t i = 0; i < 100; ++i) tags.push_back(tag("g" + std::to_string(i) + "/t", i, 1, 1));
  ReportView view;
  view.facts.tags = arrange_tags(tags, 100);
  EXPECT_THAT(age_plot(view), HasSubstr("89 others"));
}

TEST(TagTable, NewestFirstAndNotAll) {
  std::vector<TagEntry> tags;
  for (uint64_t i = 0; i < 1200; ++i) tags.push_back(tag("t" + std::to_string(i), i, 1, 1));
  const auto newest = newest_tags(tags);
  ASSERT_EQ(newest.size(), kTagRowsMax);
  EXPECT_EQ(newest.front(), 1199u);
  EXPECT_EQ(newest.back(), 200u);
  ReportView view;
  view.facts.tags.tags = tags;
  EXPECT_THAT(tag_table(view), HasSubstr("The newest 1000 of 1200"));
}

}  // namespace
}  // namespace cairn
