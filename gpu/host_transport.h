// Ranks reach each other over the group that the job has on its CPUs (Gloo, MPI, ...), which the
// caller lends as two functions. Device memory goes through two buffers on the host, in turns: one
// travels while the other is filled or emptied.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/host_group.h"
#include "gpu/transport.h"

namespace cairn::gpu {

struct HostOptions {
  std::chrono::milliseconds timeout{std::chrono::minutes(5)};
  uint64_t buffer_bytes = 4 * kMiB;  ///< of each of the two
};

/// Device memory is copied by the caller's thread, so that its current device counts. What is
/// waited for is the group: the end of a transport waits for the call that it is in.
class HostTransport final : public Transport {
 public:
  /// Errors: kUsage for a group without functions or with a rank that it does not have, or buffers
  /// of no bytes; kFailed without memory or a thread.
  static Result<std::unique_ptr<HostTransport>> make(const HostGroup& group,
                                                     const HostOptions& options = {});
  ~HostTransport() override;

  unsigned rank() const override { return group_.rank; }
  unsigned size() const override { return group_.size; }
  Status all_gather(ByteSpan own, MutableBytes all) override;
  Status broadcast(Stream stream, DeviceSpan bytes, unsigned root) override;
  Status finish(Stream stream) override;

 private:
  enum class Stage : uint8_t { kFree, kQueued, kDone };
  struct Buffer {
    Bytes host;
    Stage stage = Stage::kFree;
    Stream stream;
    DeviceSpan device;
    unsigned root = 0;
  };

  HostTransport(const HostGroup& group, const HostOptions& options);
  void work();
  Status pass(Buffer& buffer);
  Status collect(Buffer& buffer);
  Status broken();

  const HostGroup group_;
  const HostOptions options_;
  std::array<Buffer, 2> buffers_;
  size_t next_ = 0;  // the buffer that is used next

  std::mutex mutex_;  // guards stages, and all below
  std::condition_variable changed_;
  Status status_;
  bool ends_ = false;
  std::thread worker_;
};

}  // namespace cairn::gpu
