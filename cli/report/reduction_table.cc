#include "cli/report/reduction_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/human.h"
#include "cli/report/encoding_plots.h"
#include "cli/report/html.h"
#include "lib/restore_cost.h"

namespace cairn {
namespace {

struct Row {
  HeldAs held;
  EncodingUsage usage;
  LoadTime time;
};

/// A class with its encodings, those that take most first.
struct ClassRows {
  std::string name;
  EncodingUsage sum;
  LoadTime time;
  std::vector<Row> rows;
};

std::vector<ClassRows> classes_of(const UsageByClass& usage) {
  const auto takes_more = [](const auto& a, const auto& b) {
    return a.stored_bytes != b.stored_bytes ? a.stored_bytes > b.stored_bytes
                                            : a.decoded_bytes > b.decoded_bytes;
  };
  std::vector<ClassRows> classes;
  for (const auto& [name, encodings] : usage) {
    ClassRows& of_class = classes.emplace_back();
    of_class.name = name;
    of_class.sum = sum_of(encodings);
    for (const auto& [held, each] : encodings) {
      of_class.rows.push_back({held, each, load_time(name, held, each)});
      of_class.time += of_class.rows.back().time;
    }
    std::stable_sort(of_class.rows.begin(), of_class.rows.end(),
                     [&](const Row& a, const Row& b) { return takes_more(a.usage, b.usage); });
  }
  std::stable_sort(classes.begin(), classes.end(), [&](const ClassRows& a, const ClassRows& b) {
    return takes_more(a.sum, b.sum);
  });
  return classes;
}

/// How wide in a picture that is 1000 wide; what is there is at least a sliver.
double width_of(uint64_t bytes, uint64_t most) {
  constexpr double kSliver = 2;
  if (bytes == 0 || most == 0) return 0;
  return std::max(kSliver, 1000 * static_cast<double>(bytes) / static_cast<double>(most));
}

/// What is decoded as a track, and the stored parts of it one after the other.
std::string bar(std::string_view name, const EncodingUsage& sum, std::span<const Row> parts,
                uint64_t most) {
  std::string rects;
  double at = 0;
  for (const Row& part : parts) {
    const double width = width_of(part.usage.stored_bytes, most);
    rects += fmt::format("<rect class=\"{}\" x=\"{:.0f}\" width=\"{:.0f}\" height=\"10\"/>",
                         encoding_css(part.held), at, width);
    at += width;
  }
  return fmt::format(
      "<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\"><title>{}: {} stored "
      "for {}</title><desc>{}</desc><rect class=\"size\" width=\"{:.0f}\" height=\"10\"/>{}</svg>",
      name, human_bytes(sum.stored_bytes), human_bytes(sum.decoded_bytes),
      counted(sum.chunks, "chunk"), width_of(sum.decoded_bytes, most), rects);
}

std::string line(std::string_view css, std::string_view head, std::string_view drawn,
                 const EncodingUsage& usage, const LoadTime& time) {
  return fmt::format(
      "<tr{}><th>{}</th><td class=\"fill\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
      css, head, drawn, human_bytes(usage.decoded_bytes), human_bytes(usage.stored_bytes),
      human_ratio(usage.decoded_bytes, usage.stored_bytes), human_cost(time.cost()));
}

}  // namespace

std::string reduction_table(const StoreUsage& usage) {
  const std::vector<ClassRows> classes = classes_of(usage.by_class_and_encoding);
  uint64_t most = 0;
  for (const ClassRows& each : classes) {
    most = std::max({most, each.sum.decoded_bytes, each.sum.stored_bytes});
  }
  std::string html =
      "<section class=\"card\" id=\"plot-reductions\"><h2>By class and encoding</h2>"
      "<p class=\"note\">Every copy once: how long it is decoded (pale) and stored (in the colour "
      "of its encoding). Load: estimated time, 1x is that of the same bytes as keyframes.</p>\n"
      "<table class=\"bars counted reductions\"><thead><tr><th>Class</th><th class=\"fill\"></th>"
      "<th class=\"n\">Decoded</th><th class=\"n\">Stored</th><th class=\"n\">Ratio</th>"
      "<th class=\"n\">Load</th></tr></thead><tbody>\n";
  for (const ClassRows& each : classes) {
    const std::string name = escape_html(each.name);
    html +=
        line(" class=\"whole\"", name, bar(name, each.sum, each.rows, most), each.sum, each.time);
    for (const Row& row : each.rows) {
      const std::string encoding = held_name(row.held);
      const std::string head =
          fmt::format("<i class=\"swatch {}\"></i>{}", encoding_css(row.held), encoding);
      html += line("", head, bar(name + " " + encoding, row.usage, {&row, 1}, most), row.usage,
                   row.time);
    }
  }
  return html + "</tbody></table></section>\n";
}

}  // namespace cairn
