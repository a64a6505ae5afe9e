#include "base/encodings/gaps.h"

#include "base/encodings/block_scratch.h"
#include "base/encodings/item_scalar.h"

namespace cairn {

namespace {

/// The items that are not `common`, less `less`.
template <class U>
GapSizes pack(ByteSpan items, U common, U less, uint8_t* gaps, uint8_t* values) {
  uint16_t* const numbers = block_scratch().numbers.data();
  const size_t others =
      item_kernel().find_others(items.data(), items.size() / sizeof(U), sizeof(U), common, numbers);
  uint8_t* gap = gaps;
  size_t next = 0;  // the item after the last one
  for (size_t i = 0; i < others; ++i, values += sizeof(U)) {
    const size_t number = numbers[i];
    size_t alike = number - next;
    for (; alike >= 255; alike -= 255) *gap++ = 255;
    *gap++ = static_cast<uint8_t>(alike);
    store(values, static_cast<U>(load<U>(items.data() + number * sizeof(U)) - less));
    next = number + 1;
  }
  return {others, static_cast<size_t>(gap - gaps)};
}

/// Calls with what the items are and what the values are.
template <class U, class Change>
bool change_each(ByteSpan gaps, ByteSpan values, MutableBytes items, const Change& change) {
  const size_t count = items.size() / sizeof(U);
  const uint8_t* value = values.data();
  const uint8_t* const values_end = value + values.size();
  size_t at = 0;
  for (const uint8_t gap : gaps) {
    at += gap;
    if (gap == 255) continue;
    if (at >= count || value == values_end) return false;
    uint8_t* const item = items.data() + at * sizeof(U);
    store(item, change(load<U>(item), load<U>(value)));
    value += sizeof(U);
    ++at;
  }
  return value == values_end && (gaps.empty() || gaps.back() != 255);
}

template <class U, bool kIsFloat>
bool correct(ByteSpan gaps, ByteSpan values, MutableBytes items) {
  return change_each<U>(gaps, values, items, [](U prediction, U value) {
    return corrected<kIsFloat, U>(prediction, static_cast<U>(value + 1));
  });
}

}  // namespace

GapSizes pack_gaps(ByteSpan residuals, unsigned item_bytes, uint8_t* gaps, uint8_t* values) {
  return with_item_type(item_bytes, [&](auto item) {
    using U = decltype(item);
    return pack<U>(residuals, 0, 1, gaps, values);
  });
}

GapSizes pack_byte_gaps(ByteSpan bytes, uint8_t common, uint8_t* gaps, uint8_t* values) {
  return pack<uint8_t>(bytes, common, 0, gaps, values);
}

bool correct_gaps(ByteSpan gaps, ByteSpan values, ItemForm form, MutableBytes items) {
  return with_item_type(form.bytes, [&](auto item) {
    using U = decltype(item);
    return form.is_float ? correct<U, true>(gaps, values, items)
                         : correct<U, false>(gaps, values, items);
  });
}

bool fill_gaps(ByteSpan gaps, ByteSpan values, unsigned item_bytes, MutableBytes items) {
  return with_item_type(item_bytes, [&](auto item) {
    using U = decltype(item);
    return change_each<U>(gaps, values, items,
                          [](U, U value) { return static_cast<U>(value + 1); });
  });
}

bool fill_byte_gaps(ByteSpan gaps, ByteSpan values, MutableBytes bytes) {
  return change_each<uint8_t>(gaps, values, bytes, [](uint8_t, uint8_t value) { return value; });
}

}  // namespace cairn
