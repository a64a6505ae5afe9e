#include "cli/report/size_plots.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/report/panel.h"

namespace cairn {
namespace {

/// One bar a column, as one path.
std::string bars(const std::vector<uint64_t>& values, uint64_t top, std::string_view css) {
  std::string path;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) continue;
    path +=
        bar_path(i, 0, kPanelHeight * static_cast<double>(values[i]) / static_cast<double>(top));
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"/>", css, path);
}

struct Series {
  std::string css;
  std::vector<uint64_t> values;
};

/// Bars of several series in front of each other, the first one behind.
std::string bar_panel(const ReportView& view, std::string_view id, std::string_view title,
                      std::string_view description, const std::vector<Series>& series) {
  uint64_t largest = 0;
  std::string drawn;
  for (const Series& each : series) {
    largest = std::max(largest, *std::max_element(each.values.begin(), each.values.end()));
  }
  const ByteAxis axis = byte_axis(largest);
  for (const Series& each : series) drawn += bars(each.values, axis.top, each.css);
  return panel_html(view, {.id = id,
                           .title = title,
                           .description = description,
                           .levels = byte_levels(axis),
                           .drawn = drawn});
}

std::string describe(std::string_view what, const std::vector<uint64_t>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{}: {} bars, from {} to {}; the first {}, the last {}.", what, values.size(),
                     human_bytes(*least), human_bytes(*most), human_bytes(values.front()),
                     human_bytes(values.back()));
}

}  // namespace

ColumnSizes mean_sizes(const TagColumns& tags, const TagColumn& column) {
  // As doubles: the sums of many large tags need not fit 64 bits.
  double logical = 0, fresh = 0, stored = 0;
  for (size_t i = column.first; i < column.first + column.count; ++i) {
    logical += static_cast<double>(tags.tags[i].facts.logical_bytes);
    fresh += static_cast<double>(tags.tags[i].facts.new_bytes);
    stored += static_cast<double>(tags.tags[i].facts.stored_bytes);
  }
  const auto count = static_cast<double>(column.count);
  return {static_cast<uint64_t>(logical / count), static_cast<uint64_t>(fresh / count),
          static_cast<uint64_t>(stored / count)};
}

std::string size_plots(const ReportView& view) {
  const TagColumns& tags = view.facts.tags;
  Series sizes{"size", {}}, fresh{"new", {}};
  for (const TagColumn& column : tags.columns) {
    const ColumnSizes mean = mean_sizes(tags, column);
    sizes.values.push_back(mean.logical_bytes);
    fresh.values.push_back(mean.new_bytes);
  }
  const bool is_mean = tags.columns.size() < tags.tags.size();
  std::string html = fmt::format(
      "<section class=\"card\"><h2>Size and new bytes</h2>"
      "<p class=\"note\">Every tag is a whole checkpoint; what a save has to write is what is new. "
      "{}</p>\n<p class=\"key\"><span><i class=\"swatch size\"></i>size of the tag</span>"
      "<span><i class=\"swatch new\"></i>of it new to the store</span></p>\n",
      is_mean ? fmt::format("A bar is the mean of about {} tags that follow each other.",
                            ceil_div(tags.tags.size(), tags.columns.size()))
              : "A bar is a tag; those of a prefix stand together, in the order of saving.");
  html += bar_panel(view, "plot-size", "Size of each tag and the new part of it",
                    describe("Size", sizes.values), {sizes, fresh});
  html += "<h3>New bytes alone</h3>\n";
  html += bar_panel(view, "plot-new", "New bytes of each tag", describe("New bytes", fresh.values),
                    {fresh});
  return html + column_axis(view) + "</section>\n";
}

}  // namespace cairn
