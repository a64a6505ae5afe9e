// Whether bytes are text, as names and metadata must be in every format of Cairn.
#pragma once

#include <string>
#include <string_view>

namespace cairn {

/// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view text);

/// For a message, whatever the bytes are: all but printable ASCII as `\xNN`, cut after 60 bytes.
std::string shown(std::string_view bytes);

}  // namespace cairn
