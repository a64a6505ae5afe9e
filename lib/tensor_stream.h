// The bytes of tensors, as files and pipes want them, in bounded memory.
#pragma once

#include <functional>
#include <future>
#include <string>

#include "base/buffer.h"
#include "lib/cairn.hpp"
#include "store/checkpoint.h"

namespace cairn {

/// Tensors are loaded in batches: many small ones at once, a large one in slabs. Every add()
/// belongs to a flush() that follows. Memory: two batches of 64 MiB, of which one is handed over
/// while the other is loaded, or two tensors of sub-byte elements that can only be addressed whole.
/// Threads: one; loads take more.
class TensorStream {
 public:
  /// Gets bytes and where they belong in what is written; in another thread, one call at a time.
  using Sink = std::function<Status(uint64_t at, ByteSpan)>;

  /// Of `call` threads, stop and progress count; its total is the caller's to set.
  TensorStream(Checkpoint& checkpoint, const CallOptions& call, Sink sink);

  /// Row-major bytes of the box, converted to `dtype`; they belong at `at`. Errors: kUsage for a
  /// box that cannot be cut or a dtype that cannot be converted; kCorrupt; the sink's.
  Status add(const TensorInfo& tensor, Dtype dtype, const Box& box, uint64_t at);
  /// Several whole tensors of one shape, in the stored dtypes or others: the same part of all of
  /// them at a time, for those that are made from each other.
  struct Placed {
    const TensorInfo* tensor = nullptr;
    Dtype dtype = Dtype::kU8;
    uint64_t at = 0;
  };
  Status add_together(const std::vector<Placed>& tensors);
  /// Hands over what add() has left, and waits until the sink has taken it.
  Status flush();

 private:
  struct Run {
    uint64_t at = 0;
    uint64_t bytes = 0;
  };
  /// One batch is loaded, and begins to be handed over when the one before it has been.
  Status pass_on();
  Status hand_over(const std::vector<Run>& runs);
  Status wait();
  Result<std::vector<Box>> cut(const TensorInfo& tensor, const Box& box, uint64_t bytes_max) const;
  Status add_slab(const TensorInfo& tensor, Dtype dtype, const Box& slab, uint64_t& at);

  Checkpoint& checkpoint_;
  ProgressCounters* const progress_;
  const Sink sink_;
  LoadRequest batch_;
  uint64_t batch_bytes_ = 0;
  std::vector<Run> runs_;  // of the batch, in its order
  AlignedBuffer room_;
  AlignedBuffer other_room_;     // of what is handed over
  std::future<Status> handing_;  // last: it ends before what it uses
};

}  // namespace cairn
