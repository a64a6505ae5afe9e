#include "cli/report/panel.h"

#include <fmt/format.h>

#include <iterator>

namespace cairn {

std::vector<Level> byte_levels(const ByteAxis& axis) {
  std::vector<Level> levels;
  for (const uint64_t tick : axis.ticks) {
    levels.push_back({static_cast<double>(tick) / static_cast<double>(axis.top), tick_label(tick)});
  }
  return levels;
}

std::string panel_html(const ReportView& view, const Panel& panel) {
  std::string labels, lines;
  for (const Level& level : panel.levels) {
    labels += fmt::format("<span class=\"level\" style=\"bottom:{:.1f}%\">{}</span>",
                          100 * level.share, level.label);
    fmt::format_to(std::back_inserter(lines), "M0 {:.0f}h{}", kPanelHeight * (1 - level.share),
                   view.slots());
  }
  return fmt::format(
      "<div class=\"panel bars\" id=\"{0}\"><div class=\"gutter\">{1}</div>"
      "<svg class=\"plot\" data-columns=\"{2}\" data-about=\"{3}\" viewBox=\"0 0 {2} {4}\" "
      "preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">"
      "<title id=\"{0}-t\">{5}</title><desc id=\"{0}-d\">{6}</desc>"
      "<path class=\"grid\" d=\"{7}\"/>{8}</svg></div>\n",
      panel.id, labels, view.slots(), panel.about, kPanelHeight, panel.title, panel.description,
      lines, panel.drawn);
}

std::string bar_path(size_t column, double bottom, double height) {
  constexpr double kSliver = 3;
  const double drawn = std::max(kSliver, height);
  return fmt::format("M{:.2f} {:.0f}v-{:.0f}h.8v{:.0f}z", static_cast<double>(column) + 0.1,
                     kPanelHeight - bottom, drawn, drawn);
}

}  // namespace cairn
