// Copies between boxes of items in memory of any strides.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/tensor.h"

namespace cairn {

/// Where the items of a box lie: item (i, j, ...) at data + i * strides_bytes[0] + ...
template <class Byte>
struct Strided {
  Byte* data = nullptr;
  std::vector<int64_t> strides_bytes;  ///< may be negative or 0
};
using StridedSource = Strided<const uint8_t>;
using StridedTarget = Strided<uint8_t>;

/// The address of a box's first item in memory that holds `outer`. REQUIRES: outer contains inner.
template <class Byte>
Strided<Byte> sub_box(const Strided<Byte>& memory, const Box& outer, const Box& inner) {
  Strided<Byte> moved = memory;
  for (size_t axis = 0; axis < outer.rank(); ++axis) {
    moved.data += static_cast<int64_t>(inner.offsets[axis] - outer.offsets[axis]) *
                  memory.strides_bytes[axis];
  }
  return moved;
}

/// Copies `lengths` items of item_bytes each; rows that lie back to back on both sides move at
/// once.
void copy_box(const StridedSource& source, const StridedTarget& target,
              const std::vector<uint64_t>& lengths, uint64_t item_bytes);

/// The box as rows of bytes, each a stride after the last; nullopt when it takes more than one
/// stride. A contiguous box is one row, an empty one none.
struct Rows {
  uint64_t row_bytes = 0;
  int64_t stride_bytes = 0;
  uint64_t rows = 0;
};
std::optional<Rows> as_rows(const std::vector<int64_t>& strides_bytes,
                            const std::vector<uint64_t>& lengths, uint64_t item_bytes);

/// Whether both hold the same bytes.
bool equal_boxes(const StridedSource& a, const StridedSource& b,
                 const std::vector<uint64_t>& lengths, uint64_t item_bytes);

}  // namespace cairn
