// The stop flag of the call that a thread works for, where those who wait do not know the call: a
// store's requests are those of whoever reads it at the moment.
#pragma once

#include <atomic>

namespace cairn {

/// For as long as it lives, this thread works for a call that `stop` (may be null) ends. Threads
/// that parallel_for() and run_beside() start work for the same.
class StopScope {
 public:
  explicit StopScope(const std::atomic<bool>* stop) : before_(current_) { current_ = stop; }
  ~StopScope() { current_ = before_; }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

  /// Null: nobody ends it.
  static const std::atomic<bool>* current() { return current_; }

 private:
  inline static thread_local const std::atomic<bool>* current_ = nullptr;
  const std::atomic<bool>* const before_;
};

}  // namespace cairn
