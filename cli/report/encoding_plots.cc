#include "cli/report/encoding_plots.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "cli/human.h"
#include "cli/report/panel.h"
#include "lib/restore_cost.h"

namespace cairn {
namespace {

uint64_t sum(const ColumnEncodings& column) {
  uint64_t bytes = 0;
  for (const auto& [held, stored] : column.stored_bytes) bytes += stored;
  return bytes;
}

using Columns = std::vector<ColumnEncodings>;

/// Bars of encodings upon each other, in the order of their names on the ladder.
std::string stacks(const Columns& columns, const std::set<HeldAs>& shown, uint64_t top) {
  const double scale = kPanelHeight / static_cast<double>(top);
  std::vector<double> bottoms(columns.size());
  std::string svg;
  for (const HeldAs held : shown) {
    std::string path;
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto stored = columns[i].stored_bytes.find(held);
      if (stored == columns[i].stored_bytes.end() || stored->second == 0) continue;
      const double height = scale * static_cast<double>(stored->second);
      path += bar_path(i, bottoms[i], height);
      bottoms[i] += height;
    }
    svg += fmt::format("<path class=\"{}\" d=\"{}\"/>", encoding_css(held), path);
  }
  return svg;
}

std::string stack_panel(const ReportView& view, const Columns& columns,
                        const std::set<HeldAs>& shown) {
  uint64_t largest = 0, total = 0;
  for (const ColumnEncodings& column : columns) {
    largest = std::max(largest, sum(column));
    total += sum(column);
  }
  const ByteAxis axis = byte_axis(largest);
  const std::string words = fmt::format(
      "{} bars; the largest {}, the last {}, the mean {}.", columns.size(), human_bytes(largest),
      human_bytes(sum(columns.back())), human_bytes(total / columns.size()));
  return panel_html(view, {.id = "plot-encoded",
                           .title = "Stored bytes that each tag added, by encoding",
                           .description = words,
                           .about = "encodings",
                           .levels = byte_levels(axis),
                           .drawn = stacks(columns, shown, axis.top)});
}

/// Lines of the groups, and a dot for each column.
std::string cost_line(const TagColumns& tags, const Columns& columns, double top) {
  std::string line, dots;
  size_t group = 0;
  bool is_first = true;
  for (size_t i = 0; i < columns.size(); ++i) {
    const size_t tag = tags.columns[i].first;
    while (tag >= tags.groups[group].first + tags.groups[group].count) {
      ++group;
      is_first = true;
    }
    const std::string at = fmt::format("{:.1f} {:.0f}", static_cast<double>(i) + 0.5,
                                       kPanelHeight * (1 - columns[i].restore_cost / top));
    line += (is_first ? "M" : "L") + at;
    dots += "M" + at + "h0";
    is_first = false;
  }
  return fmt::format("<path class=\"line\" d=\"{}\"/><path class=\"line dots\" d=\"{}\"/>", line,
                     dots);
}

std::string cost_panel(const ReportView& view, const Columns& columns, double dearest) {
  constexpr double kStepsMax = 5, kHeadroom = 1.05;
  const double step = std::max(1.0, std::ceil(dearest / kStepsMax));
  const double top = kHeadroom * dearest;
  std::vector<Level> levels;
  for (double cost = 0; cost <= top; cost += step) {
    levels.push_back({cost / top, cost == 0 ? "0" : fmt::format("{:.0f}x", cost)});
  }
  const std::string words =
      fmt::format("At most {:.1f} times as long as tags that stand by themselves; the last {:.1f}.",
                  dearest, columns.back().restore_cost);
  return "<h3>Time to load, estimated: 1x is that of a tag that stands by itself</h3>\n" +
         panel_html(view, {.id = "plot-restore",
                           .title = "Estimated time to load each tag",
                           .description = words,
                           .about = "encodings",
                           .levels = levels,
                           .drawn = cost_line(view.facts.tags, columns, top)});
}

}  // namespace

std::string encoding_css(HeldAs held) { return "e-" + held_name(held); }

ColumnEncodings mean_encodings(const ReportFacts& facts, const TagColumn& column) {
  ColumnEncodings mean;
  std::map<HeldAs, double> bytes;
  double cost = 0;
  for (size_t i = column.first; i < column.first + column.count; ++i) {
    const TagEntry& tag = facts.tags.tags[i];
    const auto usage = facts.usage.by_tag.find(tag.name);
    if (usage == facts.usage.by_tag.end()) continue;
    for (const auto& [held, each] : usage->second.added) {
      bytes[held] += static_cast<double>(each.stored_bytes);
    }
    cost += restore_cost(usage->second.read, loaded_bytes(tag.facts));
  }
  const auto count = static_cast<double>(column.count);
  for (const auto& [held, each] : bytes) {
    mean.stored_bytes[held] = static_cast<uint64_t>(each / count);
  }
  if (cost > 0) mean.restore_cost = cost / count;
  return mean;
}

std::string encodings_text(const TagColumn& column, const ColumnEncodings& encodings) {
  std::string text =
      fmt::format("{}added {}", column.count > 1 ? "mean: " : "", human_bytes(sum(encodings)));
  for (const auto& [held, stored] : encodings.stored_bytes) {
    if (stored != 0) text += fmt::format("\n{} {}", human_bytes(stored), held_name(held));
  }
  return text + fmt::format("\nloads in {:.1f} times a keyframe's time", encodings.restore_cost);
}

std::string encoding_plots(const ReportView& view) {
  Columns columns;
  std::set<HeldAs> shown;
  double dearest = 1;
  bool has_chains = false;
  for (const TagColumn& column : view.facts.tags.columns) {
    columns.push_back(mean_encodings(view.facts, column));
    dearest = std::max(dearest, columns.back().restore_cost);
    has_chains = has_chains || columns.back().restore_cost != 1;
    for (const auto& [held, stored] : columns.back().stored_bytes) {
      if (stored != 0) shown.insert(held);
    }
  }
  std::string html =
      "<section class=\"card\"><h2>What each tag added, by encoding</h2><p class=\"note\">Stored "
      "bytes that no tag before it had: a small bar is a cheap checkpoint. What a tag is made from "
      "must be read with it, which is what loading costs.</p>\n<p class=\"key\">";
  for (const HeldAs held : shown) {
    html += fmt::format("<span><i class=\"swatch {}\"></i>{}</span>", encoding_css(held),
                        held_name(held));
  }
  html += "</p>\n" + stack_panel(view, columns, shown);
  if (has_chains) html += cost_panel(view, columns, dearest);
  return html + column_axis(view) + "</section>\n";
}

}  // namespace cairn
