#include "cli/report/axis.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/report/html.h"

namespace cairn {

ByteAxis byte_axis(uint64_t largest) {
  constexpr uint64_t kStepsMax = 4;
  constexpr uint64_t kMantissas[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
  ByteAxis axis{std::max<uint64_t>(largest, 1), {}};
  uint64_t step = axis.top;
  for (int power = 6; power >= 0; --power) {
    for (size_t i = std::size(kMantissas); i > 0; --i) {
      const uint64_t finer = kMantissas[i - 1] << (10 * power);
      const bool fits = finer >> (10 * power) == kMantissas[i - 1] && finer <= axis.top;
      if (fits && axis.top / finer <= kStepsMax) step = finer;
    }
  }
  for (uint64_t i = 0; i <= axis.top / step; ++i) axis.ticks.push_back(i * step);
  return axis;
}

std::string tick_label(uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  while (bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  // 1500 MiB rather than 1.46484 GiB.
  return bytes == 0 ? "0" : fmt::format("{} {}", bytes, kUnits[unit]);
}

std::string column_label(const TagEntry& tag) {
  if (tag.step) return fmt::format("{}", *tag.step);
  const size_t slash = tag.name.rfind('/');
  return shortened(slash == std::string::npos ? tag.name : tag.name.substr(slash + 1), 14);
}

std::string column_title(const ReportView& view, const TagColumn& column) {
  const auto& tags = view.facts.tags.tags;
  const std::string& first = tags[column.first].name;
  if (column.count == 1) return first;
  return fmt::format("{} to {} ({} tags)", first, tags[column.first + column.count - 1].name,
                     column.count);
}

static double percent(double part, size_t whole) { return 100 * part / static_cast<double>(whole); }

/// About eight labels; every other one only where there is room.
static std::string labels(const ReportView& view) {
  const auto& [tags, groups, columns] = view.facts.tags;
  const size_t every = ceil_div(columns.size(), 8);
  std::string html;
  for (size_t i = 0; i < columns.size(); i += every) {
    html += fmt::format("<span class=\"tick{}\" style=\"left:{:.2f}%\">{}</span>",
                        i / every % 2 == 1 ? " fine" : "",
                        percent(static_cast<double>(i) + 0.5, view.slots()),
                        escape_html(column_label(tags[columns[i].first])));
  }
  return html;
}

static std::string group_names(const ReportView& view) {
  const auto& [tags, groups, columns] = view.facts.tags;
  constexpr size_t kGroupsMax = 16;
  if (groups.size() > std::min(columns.size(), kGroupsMax)) return {};
  std::string html;
  size_t column = 0;
  for (const TagGroup& group : groups) {
    const size_t first = column;
    while (column < columns.size() && columns[column].first < group.first + group.count) ++column;
    const std::string name = group.prefix.empty() ? "(no prefix)" : group.prefix;
    html += fmt::format(
        "<span class=\"group\" style=\"left:{:.2f}%;width:{:.2f}%\" title=\"{}\">"
        "<bdi>{}</bdi></span>",
        percent(static_cast<double>(first), view.slots()),
        percent(static_cast<double>(column - first), view.slots()), escape_html(name),
        escape_html(name));
  }
  return html;
}

std::string column_axis(const ReportView& view) {
  const auto& tags = view.facts.tags.tags;
  const bool by_step =
      std::all_of(tags.begin(), tags.end(), [](const TagEntry& tag) { return bool(tag.step); });
  return fmt::format(
      "<div class=\"panel axis\"><div class=\"gutter\"><span>{}</span></div>"
      "<div class=\"plot\"><div class=\"ticks\">{}</div><div class=\"groups\">{}</div></div>"
      "</div>\n",
      by_step ? "step" : "tag", labels(view), group_names(view));
}

}  // namespace cairn
