// So many bytes a second, over all requests that share the limit.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "base/bytes.h"
#include "store/remote/retry.h"

namespace cairn::remote {

/// A bucket of tokens, a token a byte. Threads: any.
class RateLimit {
 public:
  static constexpr uint64_t kLeast = kKiB;  ///< bytes a second

  /// REQUIRES: kLeast or more. `clock` must stay.
  RateLimit(uint64_t bytes_per_s, RetryClock& clock);

  /// How many bytes are best passed at once: an eighth of a second's.
  size_t step_bytes() const;
  /// How many connections can carry so much: more would only hold the bytes that wait.
  size_t connections_most() const;

  /// Whether `bytes` may pass now. They pass as a whole; while that was more than there was, no
  /// others do.
  bool take(uint64_t bytes);
  /// How long until some may.
  Milliseconds wait();

 private:
  void refill();

  const double bytes_per_ms_;
  RetryClock& clock_;
  std::mutex mutex_;
  double balance_;
  Milliseconds filled_at_;
};

/// The transfers of one thread that a limit holds back, in the order in which they go on.
template <class Transfer>
class RateQueue {
 public:
  /// null: no limit.
  explicit RateQueue(std::shared_ptr<RateLimit> limit) : limit_(std::move(limit)) {}

  const RateLimit* limit() const { return limit_.get(); }
  /// False: the transfer waits, and next() will give it back.
  bool pass(Transfer transfer, uint64_t bytes) {
    if (limit_ == nullptr || limit_->take(bytes)) return true;
    waiting_.push_back(transfer);
    return false;
  }
  /// The one that has waited longest, when something may pass; it may come to wait again.
  std::optional<Transfer> next() {
    if (waiting_.empty() || limit_->wait() > Milliseconds(0)) return std::nullopt;
    const Transfer transfer = waiting_.front();
    waiting_.pop_front();
    return transfer;
  }
  void forget(Transfer transfer) { std::erase(waiting_, transfer); }
  /// When to ask for next(); nullopt: nobody waits.
  std::optional<Milliseconds> wait() const {
    if (waiting_.empty()) return std::nullopt;
    return limit_->wait();
  }

 private:
  const std::shared_ptr<RateLimit> limit_;
  std::deque<Transfer> waiting_;
};

}  // namespace cairn::remote
