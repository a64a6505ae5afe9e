#include "base/base64.h"

#include <algorithm>

namespace cairn {

static constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(ByteSpan bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? bytes[i + j] : 0);
    for (size_t j = 0; j < 4; ++j) {
      text += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  Bytes bytes;
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t group = 0;
    size_t digits = 0;
    for (size_t j = 0; j < 4; ++j) {
      const size_t value = kDigits.find(text[i + j]);
      if (value == std::string_view::npos) break;
      group |= static_cast<uint32_t>(value) << (18 - 6 * j);
      ++digits;
    }
    for (size_t j = 0; j + 1 < digits; ++j)
      bytes.push_back(static_cast<uint8_t>(group >> (16 - 8 * j)));
  }
  if (to_base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace cairn
