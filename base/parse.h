// Texts that users type, turned into values. Every error is kUsage and quotes what was typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cairn {

/// Bytes: `512MiB`, `5GB`, `1.5g`, `4096`. KB MB GB TB are powers of 1000; KiB MiB GiB TiB, and the
/// bare letters K M G T, powers of 1024. Case does not matter; a fraction of a byte is dropped.
Result<uint64_t> parse_size(std::string_view text);

/// Seconds: `90s`, `15m`, `36h`, `7d`, `2w`, or several (`1d12h`); a bare number is seconds.
Result<uint64_t> parse_duration_s(std::string_view text);

/// A whole number, 0 to 2^64 - 1.
Result<uint64_t> parse_count(std::string_view text);

/// More than 0 and at most 100, with or without a `%`.
Result<double> parse_percent(std::string_view text);
/// "4", "2.5": 1 or more.
Result<double> parse_factor(std::string_view text);

/// At least 0 and less than 100, with or without a `%`.
Result<double> parse_dead_percent(std::string_view text);

/// true/yes/on/1 or false/no/off/0.
Result<bool> parse_bool(std::string_view text);

/// The folder of a store: a path, or `file:///path`. Other schemes are not known yet.
Result<std::string> parse_store(std::string_view text);

struct KeyValue {
  std::string key;
  std::string value;  ///< all that follows the first `=`; may be empty
};
Result<KeyValue> parse_key_value(std::string_view text);

/// One axis of a box in elements, [start, stop); an absent side means the end of the axis.
struct AxisRange {
  std::optional<uint64_t> start;
  std::optional<uint64_t> stop;
};

/// `0:4,:` -> one range an axis; spaces are fine, an empty text is the box of a 0-d tensor.
Result<std::vector<AxisRange>> parse_box(std::string_view text);

}  // namespace cairn
