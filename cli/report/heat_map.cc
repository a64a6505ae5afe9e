#include "cli/report/heat_map.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/report/axis.h"
#include "cli/report/html.h"

namespace cairn {
namespace {

constexpr size_t kBlockRows = 20;  // what paper keeps together

/// Rows [first, first + count) of one class.
struct Block {
  size_t first = 0, count = 0;
};

std::vector<Block> blocks_of(const std::vector<TensorGroup>& rows) {
  std::vector<Block> blocks;
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool begins = i == 0 || rows[i].tensor_class != rows[i - 1].tensor_class ||
                        blocks.back().count == kBlockRows;
    if (begins) blocks.push_back({i, 0});
    ++blocks.back().count;
  }
  return blocks;
}

/// One path for each level; neighbours of a row that look the same are one rectangle. Cells that
/// had nothing to be compared with have a stroke through them as well.
std::string cells(const ChangeMap& map, const Block& block) {
  std::array<std::string, kHeatFirst + 1> paths;
  std::string slashes;
  for (size_t row = 0; row < block.count; ++row) {
    for (size_t column = 0; column < map.columns;) {
      const int level = heat_level(map.at(block.first + row, column));
      size_t end = column + 1;
      while (end < map.columns && heat_level(map.at(block.first + row, end)) == level) ++end;
      if (level != kHeatAbsent) {
        fmt::format_to(std::back_inserter(paths[static_cast<size_t>(level)]), "M{} {}h{}v1h-{}z",
                       column, row, end - column, end - column);
      }
      for (; column < end; ++column) {
        if (level == kHeatFirst) slashes += fmt::format("M{} {}l1 -1", column, row + 1);
      }
    }
  }
  std::string html;
  for (size_t level = 0; level < paths.size(); ++level) {
    if (paths[level].empty()) continue;
    html += fmt::format("<path class=\"h{}\" d=\"{}\"/>", level, paths[level]);
  }
  return html + fmt::format("<path class=\"slashes\" d=\"{}\"/>", slashes);
}

/// Lines between the cells, where there is room for them.
std::string rules(const ChangeMap& map, const Block& block) {
  constexpr size_t kColumnsMax = 50;
  std::string path;
  for (size_t row = 1; row < block.count; ++row) path += fmt::format("M0 {}h{}", row, map.columns);
  for (size_t column = 1; column < map.columns && map.columns <= kColumnsMax; ++column) {
    path += fmt::format("M{} 0v{}", column, block.count);
  }
  return fmt::format("<path class=\"rules\" d=\"{}\"/>", path);
}

std::string row_names(const ChangeMap& map, const Block& block) {
  std::string html;
  for (size_t row = block.first; row < block.first + block.count; ++row) {
    const TensorGroup& group = map.rows[row];
    const std::string name = escape_html(shortened(group.label, 120));
    const std::string count =
        group.tensors > 1 ? fmt::format(" <small>\u00d7{}</small>", group.tensors) : "";
    html += fmt::format("<span title=\"{0}\"><b><bdi>{0}</bdi></b>{1}</span>", name, count);
  }
  return html;
}

std::string block_panel(const ReportView& view, const Block& block) {
  const ChangeMap& map = view.facts.changes;
  const std::string tensor_class = escape_html(map.rows[block.first].tensor_class);
  const bool goes_on = block.first > 0 &&
                       map.rows[block.first - 1].tensor_class == map.rows[block.first].tensor_class;
  const std::string heading = goes_on ? "" : fmt::format("<h3>{}</h3>", tensor_class);
  return fmt::format(
      "<div class=\"heat\">{8}<div class=\"panel\"><div class=\"gutter names\">{1}</div>"
      "<svg class=\"plot\" style=\"--rows:{2}\" data-columns=\"{3}\" data-row=\"{4}\" "
      "data-rows=\"{2}\" viewBox=\"0 0 {3} {2}\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-labelledby=\"heat-{4}-t heat-{4}-d\"><title id=\"heat-{4}-t\">What changed: {0}</title>"
      "<desc id=\"heat-{4}-d\">{5} by {6}; the stronger a cell, the more of its chunks are new. "
      "The "
      "table below has the numbers.</desc>{7}</svg></div></div>\n",
      tensor_class, row_names(map, block), block.count, view.slots(), block.first,
      counted(block.count, "row"), counted(map.columns, "column"),
      cells(map, block) + rules(map, block), heading);
}

std::string legend() {
  std::string html =
      "<p class=\"key ramp\"><span><svg class=\"swatch\" viewBox=\"0 0 1 1\">"
      "<rect class=\"h0\" width=\"1\" height=\"1\"/></svg>unchanged</span><span>";
  html += fmt::format(
      "<svg class=\"swatch wide\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\">", kHeatLevels);
  for (int level = 1; level <= kHeatLevels; ++level) {
    html +=
        fmt::format("<rect class=\"h{}\" x=\"{}\" width=\"1\" height=\"1\"/>", level, level - 1);
  }
  return html +
         "</svg>a little to all of it new</span><span><svg class=\"swatch\" viewBox=\"0 0 1 1\">"
         "<rect class=\"h9\" width=\"1\" height=\"1\"/><path class=\"slashes\" d=\"M0 1l1 "
         "-1\"/></svg>first of its prefix</span>"
         "<span><i class=\"swatch none\"></i>not in the tag</span></p>\n";
}

/// The map in words: how much of each row was new, and how often.
std::string numbers(const ChangeMap& map) {
  std::string html =
      "<details><summary>The same as a table</summary><table class=\"data\"><thead><tr>"
      "<th>Tensors</th><th>Class</th><th class=\"n\">Compared chunks</th>"
      "<th class=\"n\">New</th><th class=\"n\">Columns with changes</th></tr></thead><tbody>\n";
  for (size_t row = 0; row < map.rows.size(); ++row) {
    uint64_t chunks = 0, fresh = 0, changed = 0;
    for (size_t column = 0; column < map.columns; ++column) {
      const ChangeCell& cell = map.at(row, column);
      chunks += cell.chunks;
      fresh += cell.new_chunks;
      changed += cell.new_chunks > 0;
    }
    html += fmt::format(
        "<tr><th><bdi>{}</bdi></th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td></tr>\n",
        escape_html(shortened(map.rows[row].label, 120)), escape_html(map.rows[row].tensor_class),
        chunks, human_percent(fresh, chunks), changed);
  }
  return html + "</tbody></table></details>\n";
}

}  // namespace

int heat_level(const ChangeCell& cell) {
  if (cell.chunks == 0) return cell.first_chunks == 0 ? kHeatAbsent : kHeatFirst;
  return static_cast<int>(ceil_div(cell.new_chunks * kHeatLevels, cell.chunks));
}

std::string heat_map(const ReportView& view) {
  const ChangeMap& map = view.facts.changes;
  std::string html =
      "<section class=\"card\" id=\"plot-changes\"><h2>What changed</h2><p class=\"note\">"
      "The share of each tensor's chunks that the previous tag of the same prefix does not have. "
      "A column is the same as above.";
  if (std::any_of(map.rows.begin(), map.rows.end(),
                  [](const auto& row) { return row.tensors > 1; })) {
    html +=
        " There are too many tensors for a row each: \u00d7 says how many a row has, "
        "* stands for any name.";
  }
  html += "</p>\n" + legend();
  html += fmt::format("<div class=\"map{}\">\n", map.rows.size() > 60 ? " dense" : "");
  for (const Block& block : blocks_of(map.rows)) html += block_panel(view, block);
  return html + column_axis(view) + "</div>\n" + numbers(map) + "</section>\n";
}

}  // namespace cairn
