#include "base/encodings/gaps.h"

#include "base/encodings/item_scalar.h"

namespace cairn {

namespace {

/// Writes what it is given, in order.
template <class U>
struct GapWriter {
  uint8_t* gaps;
  uint8_t* values;
  size_t next = 0;  // the item after the last one

  void add(size_t item, U value) {
    size_t zeros = item - next;
    for (; zeros >= 255; zeros -= 255) *gaps++ = 255;
    *gaps++ = static_cast<uint8_t>(zeros);
    store(values, static_cast<U>(value - 1));
    values += sizeof value;
    next = item + 1;
  }
};

template <class U>
GapSizes pack(ByteSpan residuals, uint8_t* gaps, uint8_t* values) {
  constexpr size_t kBits = 8 * sizeof(U), kLanes = 64 / kBits;
  const size_t count = residuals.size() / sizeof(U);
  GapWriter<U> writer = {gaps, values};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    // Most words are 0.
    for (auto word = load<uint64_t>(residuals.data() + i * sizeof(U)); word != 0;) {
      const size_t lane = static_cast<size_t>(std::countr_zero(word)) / kBits;
      writer.add(i + lane, static_cast<U>(word >> lane * kBits));
      word &= ~(uint64_t{static_cast<U>(-1)} << lane * kBits);
    }
  }
  for (; i < count; ++i) {
    const U value = load<U>(residuals.data() + i * sizeof(U));
    if (value != 0) writer.add(i, value);
  }
  return {static_cast<size_t>(writer.values - values) / sizeof(U),
          static_cast<size_t>(writer.gaps - gaps)};
}

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
    store(item, change(load<U>(item), static_cast<U>(load<U>(value) + 1)));
    value += sizeof(U);
    ++at;
  }
  return value == values_end && (gaps.empty() || gaps.back() != 255);
}

}  // namespace

GapSizes pack_gaps(ByteSpan residuals, unsigned item_bytes, uint8_t* gaps, uint8_t* values) {
  return with_item_type(item_bytes,
                        [&](auto item) { return pack<decltype(item)>(residuals, gaps, values); });
}

bool correct_gaps(ByteSpan gaps, ByteSpan values, ItemForm form, bool is_prediction,
                  MutableBytes items) {
  return with_item_type(form.bytes, [&](auto item) {
    using U = decltype(item);
    if (!is_prediction) {
      return change_each<U>(gaps, values, items, [](U, U residual) { return residual; });
    }
    if (!form.is_float) {
      return change_each<U>(gaps, values, items, Scalar<U>::template corrected<false>);
    }
    return change_each<U>(gaps, values, items, Scalar<U>::template corrected<true>);
  });
}

}  // namespace cairn
