#include "cli/report/size_plots.h"

#include <fmt/format.h>

#include <iterator>

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/report/axis.h"

namespace cairn {
namespace {

constexpr int kHeight = 1000;  // of a plot, in units of its own

/// One bar a column, as one path.
std::string bars(const std::vector<uint64_t>& values, uint64_t top, std::string_view css) {
  std::string path;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) continue;
    const double height =
        std::max(3.0, kHeight * static_cast<double>(values[i]) / static_cast<double>(top));
    fmt::format_to(std::back_inserter(path), "M{:.2f} {}v-{:.0f}h.8v{:.0f}z",
                   static_cast<double>(i) + 0.1, kHeight, height, height);
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"/>", css, path);
}

std::string grid_lines(const ByteAxis& axis, size_t slots) {
  std::string path;
  for (const uint64_t tick : axis.ticks) {
    fmt::format_to(std::back_inserter(path), "M0 {:.0f}h{}",
                   kHeight - kHeight * static_cast<double>(tick) / static_cast<double>(axis.top),
                   slots);
  }
  return fmt::format("<path class=\"grid\" d=\"{}\"/>", path);
}

std::string tick_labels(const ByteAxis& axis) {
  std::string html;
  for (const uint64_t tick : axis.ticks) {
    html += fmt::format("<span class=\"level\" style=\"bottom:{:.1f}%\">{}</span>",
                        100 * static_cast<double>(tick) / static_cast<double>(axis.top),
                        tick_label(tick));
  }
  return html;
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
  return fmt::format(
      "<div class=\"panel bars\" id=\"{0}\"><div class=\"gutter\">{1}</div>"
      "<svg class=\"plot\" data-columns=\"{2}\" viewBox=\"0 0 {2} {3}\" "
      "preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">"
      "<title id=\"{0}-t\">{4}</title><desc id=\"{0}-d\">{5}</desc>{6}{7}</svg></div>\n",
      id, tick_labels(axis), view.slots(), kHeight, title, description,
      grid_lines(axis, view.slots()), drawn);
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
