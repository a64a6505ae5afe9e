// Ranks pass on the host's memory over the job's CPU group: no device is needed for that, nor any
// memory beside what is passed on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "base/host_group.h"
#include "gpu/transport.h"

namespace cairn::gpu {

/// What broadcast() is lent is memory of the host, and a stream is but a name: what is under way on
/// it is waited for by finish(). The end of a transport waits for the call that it is in.
class MemoryTransport final : public Transport {
 public:
  /// Errors: kUsage for a group without functions or with a rank that it does not have.
  static Result<std::unique_ptr<MemoryTransport>> make(const HostGroup& group,
                                                       std::chrono::milliseconds timeout);
  ~MemoryTransport() override;

  unsigned rank() const override { return group_.rank; }
  unsigned size() const override { return group_.size; }
  Status all_gather(ByteSpan own, MutableBytes all) override;
  Status broadcast(Stream stream, DeviceSpan bytes, unsigned root) override;
  Status finish(Stream stream) override;

 private:
  struct Job {
    void* stream;
    MutableBytes bytes;
    unsigned root;
  };

  MemoryTransport(const HostGroup& group, std::chrono::milliseconds timeout)
      : group_(group), timeout_(timeout) {}
  void work();

  const HostGroup group_;
  const std::chrono::milliseconds timeout_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the first is under way
  Status status_;
  bool ends_ = false;
  std::thread worker_;  // begun by the first broadcast
};

}  // namespace cairn::gpu
