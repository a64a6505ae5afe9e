#include "cli/report/tag_table.h"

#include <fmt/format.h>

#include <numeric>

#include "base/clock.h"
#include "cli/human.h"
#include "cli/report/html.h"

namespace cairn {

std::vector<size_t> newest_tags(const std::vector<TagEntry>& tags) {
  std::vector<size_t> order(tags.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return tags[a].commit > tags[b].commit; });
  order.resize(std::min(order.size(), kTagRowsMax));
  return order;
}

static std::string row(const ReportView& view, size_t number) {
  const TagEntry& tag = view.facts.tags.tags[number];
  std::string created = format_rfc3339(tag.created_ns);
  created = created.substr(0, 10) + " " + created.substr(11, 5);
  const auto cell = [](std::string_view label, std::string_view css, std::string_view text) {
    return fmt::format("<td class=\"{}\" data-label=\"{}\">{}</td>", css, label, text);
  };
  return fmt::format("<tr><th><bdi>{}</bdi>{}</th>", escape_html(tag.name),
                     tag.pinned ? " <span class=\"pin\">pinned</span>" : "") +
         cell("Step", "n", tag.step ? std::to_string(*tag.step) : "-") +
         cell("Saved", "", created) +
         cell("Age", "n",
              human_age(std::max<int64_t>(0, view.now_ns - tag.created_ns) / 1'000'000'000)) +
         cell("Size", "n", human_bytes(tag.facts.logical_bytes)) +
         cell("New", "n", human_bytes(tag.facts.new_bytes)) +
         cell("Stored", "n", human_bytes(tag.facts.stored_bytes)) +
         cell(
             "Metadata", "meta",
             fmt::format("<bdi>{}</bdi>",
                         escape_html(number < view.metadata.size() ? view.metadata[number] : ""))) +
         "</tr>\n";
}

std::string tag_table(const ReportView& view) {
  const auto& tags = view.facts.tags.tags;
  const std::vector<size_t> shown = newest_tags(tags);
  std::string html =
      "<section class=\"card\" id=\"tags\"><h2>Tags</h2><table class=\"data tags\"><thead><tr>"
      "<th>Tag</th><th class=\"n\">Step</th><th>Saved (UTC)</th><th class=\"n\">Age</th>"
      "<th class=\"n\">Size</th><th class=\"n\">New</th><th "
      "class=\"n\">Stored</th><th>Metadata</th>"
      "</tr></thead><tbody>\n";
  for (const size_t number : shown) html += row(view, number);
  html += "</tbody></table>\n";
  if (shown.size() < tags.size()) {
    html += fmt::format(
        "<p class=\"note\">The newest {} of {}; <code>cairn ls</code> has all."
        "</p>\n",
        shown.size(), tags.size());
  }
  return html + "</section>\n";
}

}  // namespace cairn
