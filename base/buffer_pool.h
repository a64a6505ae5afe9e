// Memory of transfers, used again: to clear fresh pages was a fifth of a push's profile. In huge
// pages a push took a tenth less of the processor.
#pragma once

#include <memory>

#include "base/buffer.h"

namespace cairn {

/// Buffers of one size, whose contents begin undefined. Spare ones are kept as long as there is a
/// user. Threads: any.
class BufferPool {
  struct State;
  struct Loan;

 public:
  /// Each has room for `bytes`.
  explicit BufferPool(uint64_t bytes);

  class User {
   public:
    explicit User(const BufferPool& pool);
    ~User();
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    /// Comes back when its last owner lets go of it, which may be after the user's end and the
    /// pool's.
    std::shared_ptr<AlignedBuffer> take();

   private:
    const std::shared_ptr<State> state_;
  };

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace cairn
