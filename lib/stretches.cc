#include "lib/stretches.h"

#include <algorithm>

namespace cairn {

Stretches::Stretches(const Box& box, uint64_t item_bytes, uint64_t bytes_max) : box_(box) {
  if (box.is_empty()) {
    count_ = 0;
    return;
  }
  if (box.rank() == 0) return;
  uint64_t row_bytes = box.elements() * item_bytes;
  for (axis_ = 0;; ++axis_) {
    row_bytes /= box.lengths[axis_];
    if (row_bytes <= bytes_max || axis_ + 1 == box.rank()) break;
    count_ *= box.lengths[axis_];
  }
  rows_ = std::clamp<uint64_t>(bytes_max / row_bytes, 1, box.lengths[axis_]);
  steps_ = (box.lengths[axis_] + rows_ - 1) / rows_;
  count_ *= steps_;
}

Box Stretches::at(uint64_t number) const {
  Box stretch = box_;
  if (box_.rank() == 0) return stretch;
  const uint64_t first = number % steps_ * rows_;
  stretch.offsets[axis_] += first;
  stretch.lengths[axis_] = std::min(rows_, box_.lengths[axis_] - first);
  number /= steps_;
  for (size_t axis = axis_; axis-- > 0;) {
    stretch.offsets[axis] += number % box_.lengths[axis];
    stretch.lengths[axis] = 1;
    number /= box_.lengths[axis];
  }
  return stretch;
}

uint64_t stretch_of_turn(uint64_t turn, uint64_t count) {
  // Multiples of the golden ratio, modulo 1, are spread evenly, and so are those of every nth turn.
  constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
  const uint64_t fraction = turn * kGoldenRatio;
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((Wide{fraction} * count) >> 64);
}

}  // namespace cairn
