#include "cli/report/age_plot.h"

#include <fmt/format.h>

#include <iterator>

#include "base/clock.h"
#include "cli/human.h"
#include "cli/report/html.h"

namespace cairn {
namespace {

constexpr size_t kBins = 80;
constexpr size_t kStripsMax = 12;

struct Strip {
  std::string name;
  std::vector<int64_t> times;
};

/// The largest groups, the others together.
std::vector<Strip> strips_of(const TagColumns& tags) {
  std::vector<TagGroup> groups = tags.groups;
  const bool is_cut = groups.size() > kStripsMax;
  if (is_cut) {
    std::stable_sort(groups.begin(), groups.end(),
                     [](const TagGroup& a, const TagGroup& b) { return a.count > b.count; });
  }
  std::vector<Strip> strips;
  for (size_t i = 0; i < groups.size(); ++i) {
    const bool is_other = is_cut && i + 1 >= kStripsMax;
    if (!is_other) {
      strips.push_back({groups[i].prefix.empty() ? "(no prefix)" : groups[i].prefix, {}});
    } else if (strips.size() < kStripsMax) {
      strips.push_back({fmt::format("{} others", groups.size() - i), {}});
    }
    for (size_t tag = groups[i].first; tag < groups[i].first + groups[i].count; ++tag) {
      strips.back().times.push_back(tags.tags[tag].created_ns);
    }
  }
  return strips;
}

std::string age(const ReportView& view, int64_t time) {
  return human_age(std::max<int64_t>(0, view.now_ns - time) / 1'000'000'000);
}

std::string strip_bars(const std::vector<size_t>& bins, size_t most) {
  std::string path;
  for (size_t i = 0; i < bins.size(); ++i) {
    if (bins[i] == 0) continue;
    const double height =
        std::max(25.0, 100 * static_cast<double>(bins[i]) / static_cast<double>(most));
    fmt::format_to(std::back_inserter(path), "M{:.1f} 100v-{:.0f}h.8v{:.0f}z",
                   static_cast<double>(i) + 0.1, height, height);
  }
  return path;
}

/// The tags of one group as bars over time.
std::string strip_row(const ReportView& view, const Strip& strip, const std::vector<size_t>& bins,
                      size_t most) {
  const auto [oldest, newest] = std::minmax_element(strip.times.begin(), strip.times.end());
  const std::string name = escape_html(strip.name);
  return fmt::format(
      "<div class=\"panel strip\"><div class=\"gutter\" title=\"{0}\"><b><bdi>{0}</bdi></b>"
      "<small>{1}</small></div><svg class=\"plot\" viewBox=\"0 0 {2} 100\" "
      "preserveAspectRatio=\"none\" role=\"img\"><title>Age of the tags of {0}</title><desc>{1}, "
      "{3} to {4} old</desc><path class=\"grid\" d=\"M0 100h{2}\"/><path class=\"new\" d=\"{5}\"/>"
      "</svg></div>\n",
      name, counted(strip.times.size(), "tag"), kBins, age(view, *newest), age(view, *oldest),
      strip_bars(bins, most));
}

std::string time_axis(const ReportView& view, int64_t oldest, int64_t newest) {
  std::string html =
      "<div class=\"panel axis\"><div class=\"gutter\"><span>age</span></div>"
      "<div class=\"plot\"><div class=\"ticks ends\">";
  for (const int64_t time : {oldest, newest}) {
    std::string date = format_rfc3339(time);
    std::replace(date.begin(), date.end(), 'T', ' ');
    html += fmt::format("<span>{}<small>{}</small></span>", age(view, time), date.substr(0, 16));
  }
  return html + "</div></div></div>\n";
}

}  // namespace

std::vector<size_t> time_bins(const std::vector<int64_t>& times, int64_t oldest, int64_t newest,
                              size_t bins) {
  std::vector<size_t> counts(bins, 0);
  const double span =
      std::max<double>(1, static_cast<double>(newest) - static_cast<double>(oldest));
  for (const int64_t time : times) {
    const double part = (static_cast<double>(time) - static_cast<double>(oldest)) / span;
    const auto bin = static_cast<size_t>(part * static_cast<double>(bins));
    ++counts[std::min(bin, bins - 1)];
  }
  return counts;
}

std::string age_plot(const ReportView& view) {
  const auto& tags = view.facts.tags.tags;
  const auto [first, last] = std::minmax_element(
      tags.begin(), tags.end(),
      [](const TagEntry& a, const TagEntry& b) { return a.created_ns < b.created_ns; });
  const int64_t oldest = first->created_ns, newest = last->created_ns;
  const std::vector<Strip> strips = strips_of(view.facts.tags);
  std::vector<std::vector<size_t>> bins;
  size_t most = 1;
  for (const Strip& strip : strips) {
    bins.push_back(time_bins(strip.times, oldest, newest, kBins));
    most = std::max(most, *std::max_element(bins.back().begin(), bins.back().end()));
  }
  std::string html =
      "<section class=\"card\" id=\"plot-age\"><h2>Age of the tags</h2><p class=\"note\">When they "
      "were saved, from the oldest to the newest. The higher a bar, the more tags.</p>\n";
  for (size_t i = 0; i < strips.size(); ++i) html += strip_row(view, strips[i], bins[i], most);
  return html + time_axis(view, oldest, newest) + "</section>\n";
}

}  // namespace cairn
