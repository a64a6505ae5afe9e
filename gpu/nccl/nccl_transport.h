// Ranks reach each other over NCCL. Calls are enqueued and never waited for inside of NCCL: the
// host looks at the stream and at the communicator until both are done, failed, or out of time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "gpu/nccl/nccl_library.h"
#include "gpu/transport.h"

namespace cairn::gpu {

struct NcclOptions {
  std::chrono::milliseconds timeout{std::chrono::minutes(5)};
  /// Of the making of a communicator, for which ranks come at the same time; unset: the same.
  std::optional<std::chrono::milliseconds> making = std::nullopt;
  /// Whether all that was enqueued on the stream is done, without a wait (cudaStreamQuery).
  Result<bool> (*is_done)(Stream stream) = nullptr;
  /// For all_gather(): its own stream of the caller, and how much device memory it takes.
  Stream stream;
  uint64_t staging_bytes = 8 * kMiB;
  /// Where ranks meet to find out who is missing, for NCCL does not say. The job's CPU group, used
  /// for nothing else meanwhile; lives longer than the transport.
  Transport* beside = nullptr;
  /// May be empty. Asked now and then during a wait; an error ends it, and is that of the wait.
  std::function<Status()> look = {};
};

/// A transport that is broken takes no more work. Its communicator was aborted then, if it is our
/// own; what hangs on the device of a caller's goes on until the caller aborts it.
class NcclTransport final : public Transport {
 public:
  /// Of the caller, who destroys it, and uses it for nothing else between two calls of which other
  /// ranks may see another order. Errors: kUsage for options without is_done, or a rank or size
  /// that is not that of `beside`; kNoSpace; what NCCL says.
  static Result<std::unique_ptr<NcclTransport>> use(std::shared_ptr<const NcclLibrary> library,
                                                    NcclComm communicator,
                                                    const NcclOptions& options);
  /// For the lowest rank to make, and to hand to the others: each one listens from then on, until
  /// the communicator is made of it.
  static Result<NcclId> make_id(const NcclLibrary& library);
  /// One that is yet to be connected, with all memory of the thread's current device that it needs:
  /// a rank that cannot have it can say so before others wait for it. Errors: as use().
  static Result<std::unique_ptr<NcclTransport>> begin(std::shared_ptr<const NcclLibrary> library,
                                                      unsigned rank, unsigned size,
                                                      const NcclOptions& options);
  /// Makes a communicator of our own, on the same device: all ranks call this with one id, once.
  /// Errors: what NCCL says; kUnreachable when a rank does not come within the time-out.
  Status connect(const NcclId& id);
  /// Destroys what is our own: all ranks do so at about the same time.
  ~NcclTransport() override;

  /// Ranks that run out of time meet there from now on (NcclOptions::beside), of which the making
  /// of a communicator needs none: they come to it from there. Errors: kUsage for another rank.
  Status meet_beside(Transport& beside);
  /// Aborts what is our own: other ranks do not use it, or are not there. It is broken from now on.
  void break_off();

  unsigned rank() const override { return rank_; }
  unsigned size() const override { return size_; }
  Status all_gather(ByteSpan own, MutableBytes all) override;
  Status broadcast(Stream stream, DeviceSpan bytes, unsigned root) override;
  Status finish(Stream stream) override;
  bool may_hang() const override { return !is_own_; }

 private:
  NcclTransport(std::shared_ptr<const NcclLibrary> library, const NcclOptions& options)
      : library_(std::move(library)), options_(options) {}
  Status prepare();
  Status gather_piece(ByteSpan own, MutableBytes all, uint64_t at, uint64_t bytes);
  /// `result`: of the call that was made last. Waits while NCCL is still at it.
  Status settled(int result, const char* doing) { return settled(result, doing, options_.timeout); }
  Status settled(int result, const char* doing, std::chrono::milliseconds longest);
  Status check_beside() const;
  /// Waits until is_over() or an error.
  Status wait(const std::function<Result<bool>()>& is_over, const char* doing,
              std::chrono::milliseconds longest);
  Status look(bool& in_progress, const char* doing);
  Error failed(int result, const char* doing);
  Error timed_out(const char* doing, std::chrono::milliseconds longest);
  std::string find_missing();
  /// Keeps the first error.
  Status broken_by(Error error);
  void give_up();

  std::shared_ptr<const NcclLibrary> library_;
  NcclOptions options_;
  NcclComm communicator_ = nullptr;
  bool is_own_ = false;
  unsigned rank_ = 0, size_ = 1;
  DeviceMemory staging_;
  uint64_t operations_ = 0;  // that were begun
  Status status_;
};

}  // namespace cairn::gpu
