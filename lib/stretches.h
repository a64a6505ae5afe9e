// A box cut into boxes that follow each other in its bytes, so that it is read in bounded memory,
// or a sample of it at all.
#pragma once

#include <cstdint>

#include "lib/tensor.h"

namespace cairn {

/// Stretches of at most `bytes_max` bytes, or of one item where that is larger.
class Stretches {
 public:
  Stretches(const Box& box, uint64_t item_bytes, uint64_t bytes_max);

  /// 0 of an empty box.
  uint64_t count() const { return count_; }
  /// In the coordinates of the box's tensor. REQUIRES: number < count().
  Box at(uint64_t number) const;

 private:
  const Box box_;
  size_t axis_ = 0;     // before it: one index each; after it: whole
  uint64_t rows_ = 1;   // of a stretch, along the axis
  uint64_t steps_ = 1;  // stretches along the axis
  uint64_t count_ = 1;
};

/// Which of `count` stretches a turn looks at. Whatever distances turns have, as steps do that
/// are saved, every stretch gets its turn, and neighbouring turns are far apart.
uint64_t stretch_of_turn(uint64_t turn, uint64_t count);

}  // namespace cairn
