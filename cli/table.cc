#include "cli/table.h"

#include <algorithm>
#include <string_view>

#include "cli/human.h"

namespace cairn {
namespace {

/// A longer name moves its own row to the right, not all of them.
constexpr size_t kLeftWidthMax = 60;

// UTF-8 code points: the width in a terminal for all but wide scripts, which names rarely use.
size_t width_of(std::string_view cell) {
  return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::render() const {
  std::vector<size_t> widths;
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    widths.push_back(width_of(column.title));
  }
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const bool is_long = columns_[i].align == Align::kLeft && width_of(row[i]) > kLeftWidthMax;
      if (!is_long) widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string gap(widths[i] - std::min(widths[i], width_of(cells[i])), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::kRight ? gap + cells[i] : cells[i] + gap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line(titles);
  for (const auto& row : rows_) add_line(row);
  return text;
}

}  // namespace cairn
