#include "base/utf8.h"

#include <fmt/format.h>

#include <cstdint>

namespace cairn {

/// Bytes that follow a first byte, and the range of the second; the others are 80 to bf.
struct Form {
  size_t more;
  uint8_t second_least, second_most;
};

static Form form_of(uint8_t first) {
  if (first < 0x80) return {0, 0, 0};
  if (first >= 0xc2 && first <= 0xdf) return {1, 0x80, 0xbf};
  if (first == 0xe0) return {2, 0xa0, 0xbf};
  if (first == 0xed) return {2, 0x80, 0x9f};
  if (first >= 0xe1 && first <= 0xef) return {2, 0x80, 0xbf};
  if (first == 0xf0) return {3, 0x90, 0xbf};
  if (first >= 0xf1 && first <= 0xf3) return {3, 0x80, 0xbf};
  if (first == 0xf4) return {3, 0x80, 0x8f};
  return {SIZE_MAX, 0, 0};
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Form form = form_of(static_cast<uint8_t>(text[i++]));
    if (form.more > text.size() - i) return false;
    for (size_t k = 0; k < form.more; ++k) {
      const auto byte = static_cast<uint8_t>(text[i++]);
      const uint8_t least = k == 0 ? form.second_least : 0x80;
      const uint8_t most = k == 0 ? form.second_most : 0xbf;
      if (byte < least || byte > most) return false;
    }
  }
  return true;
}

std::string shown(std::string_view bytes) {
  constexpr size_t kBytesMax = 60;
  std::string text;
  for (const char c : bytes.substr(0, kBytesMax)) {
    const bool plain = c >= 0x20 && c < 0x7f;
    text += plain ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
  }
  return bytes.size() > kBytesMax ? text + "..." : text;
}

}  // namespace cairn
