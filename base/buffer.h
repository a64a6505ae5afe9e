// Page-aligned memory for direct I/O.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace cairn {

/// Movable; contents begin undefined. Sizes are rounded up to whole pages.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(uint64_t bytes);

  uint8_t* data() const { return memory_.get(); }
  uint64_t size() const { return bytes_; }
  MutableBytes span() const { return {memory_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(uint8_t* memory) const;
  };
  std::unique_ptr<uint8_t, Free> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace cairn
