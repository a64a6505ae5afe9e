// The portable kernel, one item at a time: the truth that wider kernels are tested against.
#include "base/encodings/item_scalar.h"

namespace cairn {

static ResidualCounts subtract(const uint8_t* items, const uint8_t* prediction, size_t count,
                               unsigned item_bytes, bool is_float, uint8_t* residuals) {
  ResidualCounts counts;
  with_item_type(item_bytes, [&](auto item) {
    using Items = Scalar<decltype(item)>;
    is_float ? Items::template subtract<true>(items, prediction, count, residuals, counts)
             : Items::template subtract<false>(items, prediction, count, residuals, counts);
  });
  return counts;
}

static void correct(const uint8_t* residuals, size_t count, unsigned item_bytes, bool is_float,
                    uint8_t* items) {
  with_item_type(item_bytes, [&](auto item) {
    using Items = Scalar<decltype(item)>;
    is_float ? Items::template correct<true>(residuals, count, items)
             : Items::template correct<false>(residuals, count, items);
  });
}

static void split(const uint8_t* items, size_t count, unsigned item_bytes, uint8_t* planes,
                  size_t stride) {
  with_item_type(item_bytes,
                 [&](auto item) { Scalar<decltype(item)>::split(items, count, planes, stride); });
}

static void join(const uint8_t* const* planes, size_t count, unsigned item_bytes, uint8_t* items) {
  with_item_type(item_bytes,
                 [&](auto item) { Scalar<decltype(item)>::join(planes, 0, count, items); });
}

static size_t pack_quads(const uint8_t* residuals, size_t count, unsigned item_bytes,
                         uint8_t* quads, uint8_t* larger) {
  return with_item_type(item_bytes, [&](auto item) {
    return Scalar<decltype(item)>::pack_quads(residuals, count, quads, larger);
  });
}

static void unpack_quads(const uint8_t* quads, size_t count, unsigned item_bytes,
                         const uint8_t* larger, uint8_t* residuals) {
  with_item_type(item_bytes, [&](auto item) {
    Scalar<decltype(item)>::unpack_quads(quads, count, larger, residuals);
  });
}

static size_t find_others(const uint8_t* items, size_t count, unsigned item_bytes, uint64_t common,
                          uint16_t* numbers) {
  return with_item_type(item_bytes, [&](auto item) {
    return Scalar<decltype(item)>::find_others(items, 0, count, static_cast<decltype(item)>(common),
                                               numbers);
  });
}

static void mark_classes(const uint8_t* items, size_t count, unsigned item_bytes,
                         const uint8_t* least, unsigned classes, ClassMarks& marks) {
  with_float_type(item_bytes, [&](auto item) {
    Scalar<decltype(item)>::mark_classes(items, 0, count, least, classes, marks);
  });
}

const ItemKernel kItemsPortable = {"portable",   subtract,    correct,       split,
                                   join,         pack_quads,  unpack_quads,  find_others,
                                   mark_classes, find_places, bf16_from_f32, f32_from_bf16,
                                   f16_from_f32, f32_from_f16};

}  // namespace cairn
