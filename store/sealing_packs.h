// Packs that are full. In an object store to seal one is to send it: that goes on beside the
// writer.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>

#include "store/open_pack.h"
#include "store/sending_width.h"

namespace cairn {

/// Threads: any.
class SealingPacks {
 public:
  using Now = std::function<SendingWidth::Time()>;

  /// `at_once`: packs that are sealed beside the callers of add(), at most; 0: they seal.
  explicit SealingPacks(size_t at_once, Now now = std::chrono::steady_clock::now)
      : now_(std::move(now)), width_(at_once) {}

  /// Waits first for the oldest where as many as are worth it are under way. Errors: of that, or of
  /// this.
  Status add(std::unique_ptr<OpenPack> pack);
  /// Waits for all. Errors: the first.
  Status finish();

  /// Bytes of those that are sealed, and of those that are under way.
  uint64_t sealed_bytes() const { return sealed_bytes_; }
  uint64_t waiting_bytes() const { return waiting_bytes_; }
  /// How many are worth sealing at once, as it seems now; 0: the callers seal.
  size_t width() const;

 private:
  Status seal(OpenPack& pack);
  Status wait_for_oldest();
  void count_sent(uint64_t bytes);

  const Now now_;
  std::atomic<uint64_t> sealed_bytes_{0}, waiting_bytes_{0};
  mutable std::mutex width_mutex_;  // of width_
  SendingWidth width_;
  std::mutex mutex_;                           // of the queue
  std::deque<std::future<Status>> under_way_;  // last: its end waits for those who use the rest
};

}  // namespace cairn
