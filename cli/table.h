// Text tables for people: columns as wide as their widest cell (of names the widest
// that is not very long), two spaces apart. On a terminal that is too narrow lines are folded;
// nothing is left out.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cairn {

enum class Align : uint8_t { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// Missing cells are empty; cells past the last column are dropped. Control bytes are made
  /// visible.
  void add_row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// A header line and a line for each row, each ended by a newline, without trailing spaces.
  /// `columns` (0: any) is how wide lines should be: where they are not, the last column breaks
  /// after commas, and if that is not enough each row's first cell gets a line of its own.
  std::string render(size_t columns = 0) const;

 private:
  using Cells = std::vector<std::string>;
  std::vector<size_t> widths() const;
  void add_lines(const Cells& cells, const std::vector<size_t>& widths, size_t columns,
                 bool is_folded, std::string& text) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cairn
