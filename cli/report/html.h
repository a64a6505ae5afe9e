// Text of strangers (names, metadata) made safe for an HTML page. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace cairn {

/// For the content of elements and for quoted attributes. What is no UTF-8 is shown as `\xNN`,
/// control characters as U+FFFD.
std::string escape_html(std::string_view text);

/// At most about `length` bytes: the middle gives way to an ellipsis, characters stay whole.
std::string shortened(std::string_view text, size_t length);

/// JSON that may stand inside a <script> element: ASCII, without `<`, `>` and `&`.
std::string script_json(const nlohmann::ordered_json& value);

}  // namespace cairn
