// Which names a tag may have (the command line's contract). Pure.
#pragma once

#include <string_view>

#include "base/error.h"

namespace cairn {

inline constexpr size_t kTagNameBytesMax = 200;

/// Success when `name` is segments of [A-Za-z0-9._=+-] joined by `/`, 1 to 200 bytes in all, with
/// no empty segment, none that is `.` or `..`, and does not begin with `-` (it would read as a
/// flag). Otherwise kUsage: the message says what is wrong with this name, the hint is the whole
/// rule.
Status check_tag_name(std::string_view name);

/// The name up to its last '/', that included; "" without one. Tags of one prefix are a group: a
/// run's, more often than not.
std::string_view tag_prefix(std::string_view name);

}  // namespace cairn
