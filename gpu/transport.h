// How the ranks of a job reach each other: equal pieces of host memory from all to all, and device
// memory from one to all. Two libraries stand behind it: NCCL (gpu/nccl), or whatever group the
// job has on its CPUs (gpu/memory_transport.h).
//
// All ranks make the same calls in the same order. A call that fails leaves the transport broken:
// every later call fails at once with the same error, for ranks may no longer be at one place.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "gpu/device.h"

namespace cairn::gpu {

/// Errors of its calls: kUnreachable when a rank did not take part within the transport's time-out,
/// naming it where that can be known; kFailed with what the library says. Threads: one at a time.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  virtual unsigned rank() const = 0;
  virtual unsigned size() const = 0;

  /// `all` becomes the bytes of rank 0, of rank 1 and so on. Done when it returns.
  /// Errors: kUsage unless `all` is size() times as long as `own`. REQUIRES: as long on all ranks.
  virtual Status all_gather(ByteSpan own, MutableBytes all) = 0;

  /// Those of `root` come to all. May be under way when it returns, in the order of the stream for
  /// whatever the caller enqueues before; what comes after waits for finish(). The memory is lent
  /// until then. Errors: kUsage for a root that is no rank.
  virtual Status broadcast(Stream stream, DeviceSpan bytes, unsigned root) = 0;

  /// Waits for what is under way on the stream, at most as long as the time-out.
  virtual Status finish(Stream stream) = 0;

  /// Whether what was under way when it broke may go on, or hang for good.
  virtual bool may_hang() const { return true; }

 protected:
  /// What all_gather() and broadcast() refuse.
  Status check_gather(ByteSpan own, MutableBytes all) const;
  Status check_root(unsigned root) const;
};

}  // namespace cairn::gpu
