#include "cli/report/report_page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/human.h"
#include "cli/report/age_plot.h"
#include "cli/report/axis.h"
#include "cli/report/encoding_plots.h"
#include "cli/report/heat_map.h"
#include "cli/report/html.h"
#include "cli/report/page_assets.h"
#include "cli/report/reduction_table.h"
#include "cli/report/size_plots.h"
#include "cli/report/tag_table.h"
#include "cli/report/usage_plots.h"

namespace cairn {

using nlohmann::ordered_json;

static std::string head(const ReportView& view) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'; script-src '{}'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n"
      "<title>{} - Cairn</title>\n<style>\n{}</style></head>\n",
      page_script_hash(), escape_html(view.store), page_style());
}

static std::string banner(const ReportView& view) {
  std::string date = format_rfc3339(view.now_ns);
  date = date.substr(0, 10) + " " + date.substr(11, 5) + " UTC";
  std::string words = fmt::format("{} · {}", counted(view.facts.usage.tags, "tag"), date);
  if (!view.pattern.empty()) {
    words =
        fmt::format("{} matching <code>{}</code> of {}",
                    counted(view.facts.tags.tags.size(), "tag"), escape_html(view.pattern), words);
  }
  return fmt::format(
      "<header><p class=\"brand\">Cairn store</p><h1><bdi>{}</bdi></h1>"
      "<p>{}</p></header>\n",
      escape_html(view.store), words);
}

static std::string tile(std::string_view name, std::string_view value, std::string_view words) {
  return fmt::format("<div><dt>{}</dt><dd><b>{}</b><small>{}</small></dd></div>", name, value,
                     words);
}

static std::string tiles(const ReportFacts& facts) {
  const StoreUsage& usage = facts.usage;
  return "<dl class=\"tiles\">" +
         tile("Tags", std::to_string(usage.tags), counted(usage.tensors, "tensor") + " in them") +
         tile("Logical", human_bytes(usage.logical_bytes), "all tags as if apart") +
         tile("Stored", human_bytes(usage.stored_bytes), counted(usage.chunks, "chunk")) +
         tile("Ratio", human_ratio(usage.logical_bytes, usage.stored_bytes), "logical to stored") +
         tile("On disk", human_bytes(usage.disk_bytes), counted(usage.packs, "pack")) +
         tile("gc would free", human_bytes(facts.reclaimable_bytes),
              human_percent(facts.reclaimable_bytes, usage.disk_bytes) + " of the disk") +
         "</dl>\n";
}

static std::string plots(const ReportView& view) {
  const StoreUsage& usage = view.facts.usage;
  return size_plots(view) + encoding_plots(view) + heat_map(view) + reduction_table(usage) +
         "<div class=\"pair\">" + class_plot(usage) + encoding_plot(usage) +
         "</div>\n<div class=\"pair\">" + age_plot(view) + disk_plot(view.facts) + "</div>\n" +
         tag_table(view);
}

static constexpr std::string_view kEmpty =
    "<section class=\"card empty\"><h2>This store is empty</h2><p>There are no tags yet. "
    "<code>cairn import TAG FILE</code> makes one.</p></section>\n";

static ordered_json stored_json(const ColumnEncodings& encodings) {
  ordered_json stored = ordered_json::object();
  for (const auto& [held, bytes] : encodings.stored_bytes) stored[held_name(held)] = bytes;
  return stored;
}

ordered_json report_data(const ReportView& view) {
  const TagColumns& tags = view.facts.tags;
  ordered_json columns = ordered_json::array(), rows = ordered_json::array();
  for (const TagColumn& column : tags.columns) {
    const ColumnSizes mean = mean_sizes(tags, column);
    const ColumnEncodings encodings = mean_encodings(view.facts, column);
    columns.push_back(
        {{"title", column_title(view, column)},
         {"tags", column.count},
         {"logical_bytes", mean.logical_bytes},
         {"new_bytes", mean.new_bytes},
         {"text", fmt::format("{}size {}, new {} ({})", column.count > 1 ? "mean " : "",
                              human_bytes(mean.logical_bytes), human_bytes(mean.new_bytes),
                              human_percent(mean.new_bytes, mean.logical_bytes))},
         {"restore_cost", encodings.restore_cost},
         {"stored_by_encoding", stored_json(encodings)},
         {"encodings", encodings_text(column, encodings)}});
  }
  const ChangeMap& map = view.facts.changes;
  for (size_t row = 0; row < map.rows.size(); ++row) {
    ordered_json cells = ordered_json::array();
    for (size_t column = 0; column < map.columns; ++column) {
      const ChangeCell& cell = map.at(row, column);
      cells.push_back({cell.chunks, cell.new_chunks, cell.first_chunks});
    }
    rows.push_back({{"name", shortened(map.rows[row].label, 120)},
                    {"class", map.rows[row].tensor_class},
                    {"tensors", map.rows[row].tensors},
                    {"cells", std::move(cells)}});
  }
  return {{"columns", std::move(columns)}, {"rows", std::move(rows)}};
}

std::string report_page(const ReportView& view) {
  std::string page = head(view) + "<body>\n";
  page += banner(view);
  page += "<main>\n";
  if (view.facts.tags.tags.empty()) {
    page += kEmpty;
    if (view.facts.usage.disk_bytes > 0) page += disk_plot(view.facts);
    return page + "</main>\n</body></html>\n";
  }
  page += tiles(view.facts) + plots(view) + "</main>\n";
  page += fmt::format("<script type=\"application/json\" id=\"data\">{}</script>\n",
                      script_json(report_data(view)));
  page += "<div id=\"tip\" hidden></div>\n<script>";
  page += page_script();
  return page + "</script>\n</body></html>\n";
}

}  // namespace cairn
