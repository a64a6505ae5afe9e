// Memory that the work on a block needs, kept by each thread: a few times the size of a block.
// Private to base/encodings.
#pragma once

#include <array>

#include "base/buffer.h"
#include "base/encodings/block.h"
#include "base/encodings/item_kernel.h"

namespace cairn {

/// Room for `count` items of a block, and slack.
class BlockRoom {
 public:
  uint8_t* for_items(size_t count, unsigned item_bytes) {
    const size_t bytes = count * item_bytes + kItemSlack;
    if (memory_.size() < bytes) memory_ = AlignedBuffer(kBlockItems * item_bytes + kItemSlack);
    return memory_.data();
  }

 private:
  AlignedBuffer memory_;
};

struct BlockScratch {
  std::array<uint16_t, kBlockItems + kItemSlack> numbers;
  std::array<uint16_t, kBlockItems + kItemSlack> others, sorted, others_gaps;  ///< of a BitsPlan
  ClassMarks marks;
  BlockRoom residuals, planes, values, bytes;
  BlockRoom run_gaps, run_values;  ///< of runs, which are read and written while others are in use
};

inline BlockScratch& block_scratch() {
  thread_local BlockScratch scratch;
  return scratch;
}

}  // namespace cairn
