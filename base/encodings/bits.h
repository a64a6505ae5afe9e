// The form of blocks in which few items are not 0: where they are and what they are, bit by bit and
// without tables (docs/FORMAT.md, section 7.2). Private to base/encodings and its tests.
#pragma once

#include "base/bytes.h"
#include "base/encodings/item_form.h"
#include "base/encodings/size_classes.h"

namespace cairn {

/// What is written, in what order, and how long it is.
struct BitsPlan {
  struct Class {
    uint32_t items = 0;    ///< that are not 0
    unsigned gap_low = 0;  ///< how many low bits of a gap are written as they are
  };
  SizeClasses classes;
  std::array<Class, kSizeClassesMost> of_class{};
  unsigned value_low = 0;  ///< the same of an item less 1
  /// Of the items, one class after the other, kept until the thread's next plan.
  std::span<const uint16_t> numbers, gaps;
  size_t stream_bytes = 0;

  /// Of the block, its form not counted.
  size_t bytes() const { return (classes.count == 1 ? 4 : 6) + stream_bytes; }
};

/// REQUIRES: at most 65536 residuals, not all 0; the prediction of as many.
BitsPlan plan_bits(ByteSpan residuals, ByteSpan prediction, ItemForm form);
/// Appends all but the form. REQUIRES: the thread's latest plan, of these residuals.
void append_bits(ByteSpan residuals, unsigned item_bytes, const BitsPlan& plan, Bytes& out);

// Both change the items that the stream leads to and no others; false when it does not fit the
// items, or is not used up.

/// Corrects a prediction. REQUIRES: the classes fit the form.
bool correct_bits(ByteSpan stream, const SizeClasses& classes, ItemForm form, MutableBytes items);
/// Makes zeros the items, which have one class.
bool fill_bits(ByteSpan stream, unsigned item_bytes, MutableBytes items);

}  // namespace cairn
