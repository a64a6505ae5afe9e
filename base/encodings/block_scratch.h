// Memory that the work on a block needs, kept by each thread: a few times the size of a block.
// Private to base/encodings.
#pragma once

#include <array>
#include <memory>

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
  BlockRoom prediction, residuals, planes, values, bytes;
  BlockRoom run_gaps, run_values;  ///< of runs, which are read and written while others are in use
};

inline BlockScratch& block_scratch() {
  // Not in the thread's own storage, which is taken from the stacks of all threads of a program.
  thread_local const auto scratch = std::make_unique<BlockScratch>();
  return *scratch;
}

}  // namespace cairn
