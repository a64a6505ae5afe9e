// Numbers and times as people read them. JSON never uses these. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cairn {

/// `0 B`, `999 B`, `1.5 KiB`, `12.3 MiB`, `456 GiB`: powers of 1024, three digits.
std::string human_bytes(uint64_t bytes);

/// The largest unit that fits: `5 s`, `3 min`, `2 h`, `4 d`, `3 y`.
std::string human_age(int64_t seconds);

/// A time that is left or was taken: `0.4 s`, `12 s`, `3:07`, `1:02:03`.
std::string human_duration(double seconds);

/// `1.2 %`; `-` when the whole is 0.
std::string human_percent(uint64_t part, uint64_t whole);
/// Of a share of 1; `-` when it is no number.
std::string human_percent(double share);

/// `2.40x`, `97.3x`, `4096x`; `-` when the divisor is 0.
std::string human_ratio(uint64_t value, uint64_t divisor);

/// `0.76x`: a multiple of what something else takes; `-` when it is not known.
std::string human_cost(std::optional<double> cost);

/// `1 tag`, `12 tags`. REQUIRES: a noun that takes an s.
std::string counted(uint64_t count, std::string_view noun);

/// `text` without control bytes (they could move a terminal's cursor): each becomes `\xNN`.
std::string printable(std::string_view text);

}  // namespace cairn
