#include "cli/report/usage_plots.h"

#include <fmt/format.h>

#include <array>

#include "cli/human.h"
#include "cli/report/html.h"

namespace cairn {
namespace {

/// One row: how much was there before (decoded, logical) and what is stored of it.
struct BarRow {
  std::string name;
  uint64_t whole = 0;
  uint64_t stored = 0;
  uint64_t count = 0;
};

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// A row's bar in a picture 1000 wide; what is there is at least a sliver.
std::string bar(const BarRow& row, uint64_t most) {
  const double width = row.stored == 0 ? 0 : std::max(4.0, 1000 * share(row.stored, most));
  return fmt::format(
      "<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\"><title>{} stored: "
      "{}</title><desc>{} of all stored bytes shown here</desc><rect class=\"track\" "
      "width=\"1000\" "
      "height=\"10\"/><rect class=\"new\" width=\"{:.0f}\" height=\"10\"/></svg>",
      human_bytes(row.stored), escape_html(row.name), human_percent(row.stored, most), width);
}

struct BarHeads {
  std::string name, count, whole;  ///< no count: ""
};

std::string bar_table(const BarHeads& heads, std::vector<BarRow> rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const BarRow& a, const BarRow& b) { return a.stored > b.stored; });
  uint64_t stored = 0;
  for (const BarRow& row : rows) stored += row.stored;
  const bool has_count = !heads.count.empty();
  std::string html = fmt::format(
      "<table class=\"bars{}\"><thead><tr><th>{}</th><th class=\"fill\"></th>{}"
      "<th class=\"n\">Stored</th><th class=\"n\">{}</th><th class=\"n\">Ratio</th></tr></thead>"
      "<tbody>\n",
      has_count ? " counted" : "", heads.name,
      has_count ? fmt::format("<th class=\"n\">{}</th>", heads.count) : "", heads.whole);
  for (const BarRow& row : rows) {
    html += fmt::format(
        "<tr><th>{}</th><td class=\"fill\">{}</td>{}<td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td></tr>\n",
        escape_html(row.name), bar(row, stored),
        has_count ? fmt::format("<td class=\"n\">{}</td>", row.count) : "", human_bytes(row.stored),
        row.whole == 0 ? "-" : human_bytes(row.whole),
        row.whole == 0 ? "-" : human_ratio(row.whole, row.stored));
  }
  return html + "</tbody></table>\n";
}

struct DiskPart {
  std::string_view css, words;
  uint64_t bytes = 0;
};

std::string disk_bar(const std::array<DiskPart, 3>& parts, uint64_t whole) {
  std::string words, bars;
  for (const DiskPart& part : parts) {
    words += fmt::format("{}: {}. ", part.words, human_bytes(part.bytes));
    bars += fmt::format("<i class=\"{}\" style=\"width:{:.2f}%\"></i>", part.css,
                        100 * share(part.bytes, whole));
  }
  return fmt::format("<div class=\"disk\" role=\"img\" aria-label=\"{}\">{}</div>\n", words, bars);
}

}  // namespace

std::string class_plot(const StoreUsage& usage) {
  std::vector<BarRow> rows;
  for (const auto& [name, each] : usage.by_class) {
    rows.push_back({name, each.logical_bytes, each.stored_bytes, 0});
  }
  return "<section class=\"card\" id=\"plot-classes\"><h2>By class of tensor</h2>"
         "<p class=\"note\">What the tensors of all tags are together, and what is stored for "
         "them.</p>\n" +
         bar_table({"Class", "", "Logical"}, std::move(rows)) + "</section>\n";
}

std::string encoding_plot(const StoreUsage& usage) {
  std::vector<BarRow> rows;
  for (const auto& [held, each] : sum_by_encoding(usage.by_class_and_encoding)) {
    rows.push_back({held_name(held), each.decoded_bytes, each.stored_bytes, each.chunks});
  }
  return "<section class=\"card\" id=\"plot-encodings\"><h2>By encoding</h2>"
         "<p class=\"note\">Every copy once, decoded and as it is stored.</p>\n" +
         bar_table({"Encoding", "Chunks", "Decoded"}, std::move(rows)) + "</section>\n";
}

std::string disk_plot(const ReportFacts& facts) {
  const uint64_t whole = facts.usage.disk_bytes;
  const uint64_t needed = facts.usage.stored_bytes, free = facts.reclaimable_bytes;
  // The parts are counted one after the other while savers write: the rest is never negative.
  const uint64_t rest = whole - std::min(whole, needed + free);
  const std::array<DiskPart, 3> parts = {{{"new", "Needed by tags", needed},
                                          {"dead", "Dead: gc would free it", free},
                                          {"rest", "The rest: index, leases, padding", rest}}};
  std::string html = fmt::format(
      "<section class=\"card\" id=\"plot-disk\"><h2>What gc would free</h2><p "
      "class=\"note\"><code>cairn gc</code> would free <strong>{}</strong> of the {} on "
      "disk.</p>\n",
      human_bytes(free), human_bytes(whole));
  html += disk_bar(parts, std::max(whole, needed + free)) + "<ul class=\"parts\">";
  for (const DiskPart& part : parts) {
    html += fmt::format("<li><i class=\"swatch {}\"></i><span>{}</span><b>{}</b><em>{}</em></li>",
                        part.css, part.words, human_bytes(part.bytes),
                        human_percent(part.bytes, whole));
  }
  return html + "</ul></section>\n";
}

}  // namespace cairn
