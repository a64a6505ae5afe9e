// What the bytes of a chunk are, as far as encodings care: items of one width, floats or not.
#pragma once

#include <cstdint>
#include <optional>

namespace cairn {

struct ItemForm {
  uint8_t bytes = 1;  ///< 1, 2, 4 or 8
  bool is_float = false;

  bool operator==(const ItemForm&) const = default;
};

/// The first byte of a parameter block (docs/FORMAT.md, section 7).
constexpr uint8_t encode_item_form(const ItemForm& form) {
  const uint8_t log = form.bytes == 8 ? 3 : form.bytes == 4 ? 2 : form.bytes == 2 ? 1 : 0;
  return static_cast<uint8_t>(log | (form.is_float ? 0x10 : 0));
}
/// nullopt for bits that this version does not know.
constexpr std::optional<ItemForm> decode_item_form(uint8_t byte) {
  if ((byte & ~0x13) != 0) return std::nullopt;
  return ItemForm{static_cast<uint8_t>(1u << (byte & 3)), (byte & 0x10) != 0};
}

}  // namespace cairn
