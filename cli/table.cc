#include "cli/table.h"

#include <algorithm>
#include <string_view>

#include "cli/human.h"

namespace cairn {
namespace {

/// A longer name moves its own row to the right, not all of them.
constexpr size_t kLeftWidthMax = 60;
/// Before what follows a first cell that has a line of its own.
constexpr std::string_view kFold = "  ";

// UTF-8 code points: the width in a terminal for all but wide scripts, which names rarely use.
size_t width_of(std::string_view cell) {
  return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

size_t longest_line(std::string_view text) {
  size_t longest = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    longest = std::max(longest, width_of(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return longest;
}

/// Parts that fit into `room` where commas allow; the commas stay.
std::vector<std::string> broken(std::string_view cell, size_t room) {
  std::vector<std::string> parts(1);
  while (!cell.empty()) {
    const size_t comma = cell.find(", ");
    const std::string_view item =
        cell.substr(0, comma == std::string_view::npos ? comma : comma + 1);
    cell.remove_prefix(std::min(cell.size(), item.size() + 1));
    const std::string_view gap = parts.back().empty() ? "" : " ";
    if (!gap.empty() && width_of(parts.back()) + gap.size() + width_of(item) > room) {
      parts.emplace_back(item);
    } else {
      parts.back() += gap;
      parts.back() += item;
    }
  }
  return parts;
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const bool is_long = columns_[i].align == Align::kLeft && width_of(row[i]) > kLeftWidthMax;
      if (!is_long) widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  return widths;
}

/// The lines of one row; `columns` 0: one line.
void Table::add_lines(const Cells& cells, const std::vector<size_t>& widths, size_t columns,
                      bool is_folded, std::string& text) const {
  std::string line;
  const auto end_line = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
    line.clear();
  };
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i == 1 && is_folded) {
      end_line();
      line = kFold;
    } else if (i > 0) {
      line += "  ";
    }
    const bool is_last = i + 1 == cells.size();
    if (is_last && columns > 0 && columns_[i].align == Align::kLeft) {
      const size_t start = width_of(line);
      for (const std::string& part : broken(cells[i], columns - std::min(start, columns))) {
        if (width_of(line) > start) end_line();
        line.resize(std::max(line.size(), start), ' ');
        line += part;
      }
      continue;
    }
    const std::string gap(widths[i] - std::min(widths[i], width_of(cells[i])), ' ');
    line += columns_[i].align == Align::kRight ? gap + cells[i] : cells[i] + gap;
  }
  end_line();
}

std::string Table::render(size_t columns) const {
  const std::vector<size_t> wanted = widths();
  Cells titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  const auto draw = [&](size_t room, bool is_folded) {
    std::string text;
    add_lines(titles, wanted, room, is_folded, text);
    for (const auto& row : rows_) add_lines(row, wanted, room, is_folded, text);
    return text;
  };
  std::string text = draw(0, false);
  if (columns == 0 || longest_line(text) <= columns) return text;
  text = draw(columns, false);
  return longest_line(text) <= columns ? text : draw(columns, true);
}

}  // namespace cairn
