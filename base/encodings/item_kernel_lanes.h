// The kernel of vectors of N bytes; see base/encodings/item_lanes.h for who may include it.
#pragma once

#include "base/encodings/cast_lanes.h"
#include "base/encodings/item_lanes.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

template <size_t N>
struct KernelOfLanes {
  static ResidualCounts subtract(const uint8_t* items, const uint8_t* prediction, size_t count,
                                 unsigned item_bytes, bool is_float, uint8_t* residuals) {
    ResidualCounts counts;
    with_item_type(item_bytes, [&](auto item) {
      using Items = Lanes<decltype(item), N>;
      is_float ? Items::template subtract<true>(items, prediction, count, residuals, counts)
               : Items::template subtract<false>(items, prediction, count, residuals, counts);
    });
    return counts;
  }
  static void correct(const uint8_t* residuals, size_t count, unsigned item_bytes, bool is_float,
                      uint8_t* items) {
    with_item_type(item_bytes, [&](auto item) {
      using Items = Lanes<decltype(item), N>;
      is_float ? Items::template correct<true>(residuals, count, items)
               : Items::template correct<false>(residuals, count, items);
    });
  }
  static void split(const uint8_t* items, size_t count, unsigned item_bytes, uint8_t* planes,
                    size_t stride) {
    with_item_type(item_bytes, [&](auto item) {
      Lanes<decltype(item), N>::split(items, count, planes, stride);
    });
  }
  static void join(const uint8_t* const* planes, size_t count, unsigned item_bytes,
                   uint8_t* items) {
    with_item_type(item_bytes,
                   [&](auto item) { Lanes<decltype(item), N>::join(planes, count, items); });
  }
  static size_t pack_quads(const uint8_t* residuals, size_t count, unsigned item_bytes,
                           uint8_t* quads, uint8_t* larger) {
    return with_item_type(item_bytes, [&](auto item) {
      return Lanes<decltype(item), N>::pack_quads(residuals, count, quads, larger);
    });
  }
  static void unpack_quads(const uint8_t* quads, size_t count, unsigned item_bytes,
                           const uint8_t* larger, uint8_t* residuals) {
    with_item_type(item_bytes, [&](auto item) {
      Lanes<decltype(item), N>::unpack_quads(quads, count, larger, residuals);
    });
  }
  static size_t find_others(const uint8_t* items, size_t count, unsigned item_bytes,
                            uint64_t common, uint16_t* numbers) {
    return with_item_type(item_bytes, [&](auto item) {
      return Lanes<decltype(item), N>::find_others(items, count,
                                                   static_cast<decltype(item)>(common), numbers);
    });
  }
  static void mark_classes(const uint8_t* items, size_t count, unsigned item_bytes,
                           const uint8_t* least, unsigned classes, ClassMarks& marks) {
    with_float_type(item_bytes, [&](auto item) {
      Lanes<decltype(item), N>::mark_classes(items, count, least, classes, marks);
    });
  }
  static void find_places_of(const ClassMarks& marks, unsigned number, const uint16_t* places,
                             size_t count, uint16_t* numbers) {
    find_places(marks, number, places, count, numbers);
  }
  static constexpr ItemKernel named(const char* name) {
    return {name,
            subtract,
            correct,
            split,
            join,
            pack_quads,
            unpack_quads,
            find_others,
            mark_classes,
            find_places_of,
            CastLanes<N>::bf16_from_f32,
            CastLanes<N>::f32_from_bf16,
            CastLanes<N>::f16_from_f32,
            CastLanes<N>::f32_from_f16};
  }
};

}  // namespace
}  // namespace cairn
