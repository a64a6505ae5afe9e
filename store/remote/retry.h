// Which failures are worth another try, when, and how many requests may be under way while a server
// asks for patience. Pure but for the clock, which tests bring along.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

#include "store/remote/http_message.h"

namespace cairn::remote {

using Milliseconds = std::chrono::milliseconds;

struct RetryOptions {
  Milliseconds give_up_after{30'000};  ///< without progress; 0: one try
  Milliseconds first_pause{200};       ///< the most that the first pause may last; doubles
  Milliseconds longest_pause{10'000};
  int tries_at_first = 3;  ///< of a server that never answered, when its name or port is not there;
                           ///< 0: as many as the time allows
};

class RetryClock {
 public:
  virtual ~RetryClock() = default;
  /// Monotonic.
  virtual Milliseconds now() = 0;
  /// Since 1970, for dates that servers name.
  virtual int64_t wall_ns() = 0;
  /// False when `stop` (may be null) was set before the time was over.
  virtual bool wait(Milliseconds time, const std::atomic<bool>* stop) = 0;
  /// Evenly from [0, 1).
  virtual double random() = 0;
};

/// The machine's. Threads: any.
RetryClock& machine_clock();

enum class Worth : uint8_t {
  kNothing,   ///< the same again would give the same
  kTry,       ///< again after a pause
  kSlowDown,  ///< again after a pause, and less at once
};

struct Verdict {
  Worth worth = Worth::kNothing;
  std::optional<Milliseconds> after;  ///< the server's own wish
};

/// Of 408, 429, 500, 502, 503, 504, and whatever trouble another attempt may not meet.
Verdict judge(const HttpResult& result, int64_t wall_ns);
/// The value of Retry-After: seconds or a date, which may have passed.
std::optional<Milliseconds> parse_retry_after(std::string_view value, int64_t wall_ns);

/// One request's tries. Threads: one at a time.
class RetryLoop {
 public:
  RetryLoop(const RetryOptions& options, RetryClock& clock)
      : options_(options), clock_(clock), begun_(clock.now()), since_(begun_) {}

  /// The last try brought something: the time that may pass begins anew, and so do the pauses.
  void progressed();
  /// How long to wait before the next try; nullopt: give up. `tries_most`: 0 for any number.
  std::optional<Milliseconds> next_pause(const Verdict& verdict, int tries_most = 0);

  int tries() const { return tries_; }
  Milliseconds spent() const { return clock_.now() - begun_; }

 private:
  const RetryOptions options_;
  RetryClock& clock_;
  const Milliseconds begun_;
  Milliseconds since_;
  int tries_ = 0, row_ = 0;
};

/// How many requests are under way at once: as many as there are connections, until the server asks
/// for less; then half as many, and one more each time as many have succeeded. Threads: any.
class Throttle {
 public:
  explicit Throttle(size_t most) : most_(most < 1 ? 1 : most), limit_(most_) {}

  /// Waits for a place. False: `stop` (may be null) was set.
  bool enter(const std::atomic<bool>* stop);
  /// Gives the place back.
  void leave(Worth worth, bool success);
  size_t limit() const;

 private:
  const size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  size_t limit_, inside_ = 0, successes_ = 0;
  size_t cut_grace_ = 0;  // of those that were inside when the limit was cut, how many are to come
};

}  // namespace cairn::remote
