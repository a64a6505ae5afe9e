// Memory of parts on their way, used again: to clear fresh pages was a fifth of a push's profile.
// In huge pages a push took a tenth less of the processor.
#pragma once

#include <mutex>
#include <vector>

#include "base/buffer.h"

namespace cairn::remote {

/// Kept as long as there is anybody who uses it. Threads: any.
class PartBuffers {
 public:
  /// Each has room for `bytes`.
  explicit PartBuffers(uint64_t bytes) : bytes_(bytes) {}

  /// Who writes parts.
  class User {
   public:
    explicit User(PartBuffers& buffers);
    ~User();
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    AlignedBuffer take();
    void give_back(AlignedBuffer buffer);

   private:
    PartBuffers& buffers_;
  };

 private:
  const uint64_t bytes_;
  std::mutex mutex_;  // of all below
  size_t users_ = 0;
  std::vector<AlignedBuffer> spare_;
};

}  // namespace cairn::remote
