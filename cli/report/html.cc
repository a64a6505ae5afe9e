#include "cli/report/html.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace cairn {

static constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// Whether a control character stands at `at`: C0, DEL or C1 (two bytes). REQUIRES: UTF-8.
static size_t control_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(at) < 0x20 || byte(at) == 0x7f) return 1;
  return byte(at) == 0xc2 && byte(at + 1) < 0xa0 ? 2 : 0;
}

std::string escape_html(std::string_view text) {
  if (!is_utf8(text)) return escape_html(shown(text));
  std::string safe;
  safe.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (const size_t bytes = control_bytes(text, i); bytes > 0) {
      safe += kReplacement;
      i += bytes - 1;
      continue;
    }
    switch (text[i]) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += text[i];
    }
  }
  return safe;
}

static bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

std::string shortened(std::string_view text, size_t length) {
  if (text.size() <= length) return std::string(text);
  size_t head = length / 3, tail = text.size() - (length - length / 3);
  while (head > 0 && is_continuation(text[head])) --head;
  while (tail < text.size() && is_continuation(text[tail])) ++tail;
  return fmt::format("{}…{}", text.substr(0, head), text.substr(tail));
}

std::string script_json(const nlohmann::ordered_json& value) {
  std::string text = value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char letter : text) {
    if (letter == '<' || letter == '>' || letter == '&') {
      safe += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      safe += letter;
    }
  }
  return safe;
}

}  // namespace cairn
