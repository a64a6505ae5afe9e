// Ranks as threads of one process, which reach each other through memory: late, in any order, or
// not at all.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "gpu/memory_transport.h"
#include "gpu/transport.h"

namespace cairn::gpu {

struct FakeFaults {
  uint64_t seed = 1;
  unsigned delay_us = 0;  ///< at most, before each call of each rank
  /// For ranks that will not come; those that are late on a busy machine are waited for longer.
  std::chrono::milliseconds timeout{20'000};
  int dying = -1;        ///< a rank
  uint64_t dies_at = 0;  ///< the call that it does not come to; 0: it never comes
};

/// Where they meet. Threads: any.
class FakeGroup {
 public:
  explicit FakeGroup(unsigned size, const FakeFaults& faults = {});

  unsigned size() const { return static_cast<unsigned>(calls_made_.size()); }
  const FakeFaults& faults() const { return faults_; }
  /// How many calls the rank has made.
  uint64_t calls(unsigned rank) const { return calls_made_[rank]; }

  /// The number of a rank's next call, to which it brings these bytes: at once, nobody waits. kind:
  /// what all ranks must call there. Errors: kCancelled for the rank that dies.
  Result<uint64_t> bring(unsigned rank, const std::string& kind, ByteSpan bytes);
  /// The rank makes no more calls.
  void leave(unsigned rank);
  /// What the others of `wanted` brought there. missing: those that did not in time; nothing then.
  std::vector<Bytes> fetch(uint64_t call, const std::vector<unsigned>& wanted,
                           std::vector<unsigned>& missing);

 private:
  struct Call {
    std::string kind;
    std::map<unsigned, Bytes> brought;
  };

  const FakeFaults faults_;
  std::vector<uint64_t> calls_made_;
  std::vector<std::mt19937_64> random_;
  std::vector<bool> gone_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Call> calls_;
};

/// A transport that does things as late as it may: what is broadcast comes when it is waited for,
/// and memory holds other bytes until then.
class FakeTransport final : public Transport {
 public:
  FakeTransport(FakeGroup& group, unsigned rank) : group_(group), rank_(rank) {}

  unsigned rank() const override { return rank_; }
  unsigned size() const override { return group_.size(); }
  Status all_gather(ByteSpan own, MutableBytes all) override;
  Status broadcast(Stream stream, DeviceSpan bytes, unsigned root) override;
  Status finish(Stream stream) override;

 private:
  struct Coming {
    uint64_t call;
    Stream stream;
    DeviceSpan bytes;
    unsigned root;
  };
  Status missed(const std::vector<unsigned>& missing) const;

  FakeGroup& group_;
  unsigned rank_;
  std::vector<Coming> coming_;
};

/// The same ranks as a job's CPU group of a caller. Lives as long as it is used.
class FakeHostGroup {
 public:
  FakeHostGroup(FakeGroup& group, unsigned rank) : group_(group), rank_(rank) {}
  HostGroup lent();

 private:
  static HostAnswer all_gather(void* context, const uint8_t* own, uint64_t bytes, uint8_t* all,
                               HostWait* wait);
  static HostAnswer broadcast(void* context, uint8_t* data, uint64_t bytes, unsigned root,
                              HostWait* wait);
  HostAnswer answer(const std::vector<unsigned>& missing, HostWait* wait) const;

  FakeGroup& group_;
  unsigned rank_;
};

/// What `work` returns on each rank, in a thread of its own.
std::vector<Status> on_ranks(unsigned ranks, const std::function<Status(unsigned rank)>& work);
/// The same over a FakeTransport of each.
std::vector<Status> over_fake(FakeGroup& group, const std::function<Status(Transport&)>& work);
/// The same over a MemoryTransport of each.
std::vector<Status> over_memory(FakeGroup& group, const std::function<Status(Transport&)>& work);

}  // namespace cairn::gpu
