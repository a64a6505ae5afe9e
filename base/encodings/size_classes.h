// Items by the size of their prediction: what an optimizer moves by about as much everywhere
// changes small floats often and large ones hardly ever, so that where changes are is told in fewer
// bits one size at a time (docs/FORMAT.md, section 7.2). Private to base/encodings and its tests.
#pragma once

#include <array>
#include <span>

#include "base/bytes.h"
#include "base/encodings/item_form.h"
#include "base/encodings/item_kernel.h"

namespace cairn {

/// The first class holds the sizes from `top` on, each further one the `step` sizes below, the last
/// one all that are left. One class holds everything.
struct SizeClasses {
  unsigned count = 1, top = 0, step = 1;

  /// Whether there can be such classes of these items.
  bool fit(ItemForm form) const {
    if (count == 1) return true;
    return form.is_float && form.bytes > 1 && count > 1 && count <= kSizeClassesMost && step > 0 &&
           top >= (count - 2) * step;
  }
  /// The smallest sizes of all classes but the last.
  std::array<uint8_t, kSizeClassesMost> bounds() const {
    std::array<uint8_t, kSizeClassesMost> least{};
    for (unsigned i = 0; i + 1 < count; ++i) least[i] = static_cast<uint8_t>(top - i * step);
    return least;
  }
};

/// The classes in which it takes the fewest bits to tell which items change, estimated.
/// REQUIRES: at most 65536 floats of at least two bytes, at least one number, all of items.
SizeClasses choose_size_classes(ByteSpan prediction, unsigned item_bytes,
                                std::span<const uint16_t> changed);

/// Which items are in which class, kept until the thread's next call.
const ClassMarks& mark_classes(const SizeClasses& classes, ByteSpan prediction,
                               unsigned item_bytes);

/// How many of the items are in a class.
inline size_t items_of(const ClassMarks& marks, unsigned number) {
  return marks.before[number][1024];
}

}  // namespace cairn
