// Memory of parts on their way, used again: to clear fresh pages was a fifth of a push's profile.
#pragma once

#include <mutex>
#include <vector>

#include "base/bytes.h"

namespace cairn::remote {

/// Kept as long as there is anybody who uses it. Threads: any.
class PartBuffers {
 public:
  /// Who writes parts.
  class User {
   public:
    explicit User(PartBuffers& buffers);
    ~User();
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    /// Empty, with room for `bytes`.
    Bytes take(size_t bytes);
    void give_back(Bytes buffer);

   private:
    PartBuffers& buffers_;
  };

 private:
  std::mutex mutex_;  // of all below
  size_t users_ = 0;
  std::vector<Bytes> spare_;
};

}  // namespace cairn::remote
