// Text tables for people: columns as wide as their widest cell (of names the widest
// that is not very long), two spaces apart.
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
  std::string render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cairn
