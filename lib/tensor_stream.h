// The bytes of tensors one after the other, as files and pipes want them, in bounded memory.
#pragma once

#include <functional>
#include <string>

#include "base/buffer.h"
#include "lib/cairn.hpp"
#include "store/checkpoint.h"

namespace cairn {

/// Tensors are loaded in batches: many small ones at once, a large one in slabs. Every add()
/// belongs to a flush() that follows. Memory: a batch of 64 MiB, or one tensor of sub-byte elements
/// that can only be addressed whole. Threads: one; loads take more.
class TensorStream {
 public:
  using Sink = std::function<Status(ByteSpan)>;

  /// Of `call` threads, stop and progress count; its total is the caller's to set.
  TensorStream(Checkpoint& checkpoint, const CallOptions& call, Sink sink);

  /// Row-major bytes of the box, converted to `dtype`. Errors: kUsage for a box that cannot be cut
  /// or a dtype that cannot be converted; kCorrupt; the sink's.
  Status add(const TensorInfo& tensor, Dtype dtype, const Box& box);
  /// Hands over what add() has left.
  Status flush();

 private:
  Status add_slab(const TensorInfo& tensor, Dtype dtype, const Box& slab);

  Checkpoint& checkpoint_;
  ProgressCounters* const progress_;
  const Sink sink_;
  LoadRequest batch_;
  uint64_t batch_bytes_ = 0;
  AlignedBuffer room_;
};

}  // namespace cairn
