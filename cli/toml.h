// The part of TOML that a settings file needs: `key = value` with strings, whole and decimal
// numbers, booleans and arrays of them, `[table]` headers and comments. What it does not know
// (dates, inline tables, multi-line strings, dotted keys) is an error with its line, never skipped.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cairn {

struct TomlEntry {
  std::string table;  ///< "" before the first header
  std::string key;
  std::vector<std::string> values;  ///< as text; one unless an array
  size_t line = 0;                  ///< from 1
};

/// Errors: kUsage with `path:line`; a key twice in one table is one.
Result<std::vector<TomlEntry>> parse_toml(std::string_view text, std::string_view path);

}  // namespace cairn
