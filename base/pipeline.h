// Work for several threads: the first error stops the rest and is what the caller gets.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"

namespace cairn {

/// CPUs this process may use.
unsigned default_threads();

/// Calls work(index) for every index below `count`, in order of the index but in `threads` threads
/// (0: default_threads()). After an error no further index begins. Never throws: memory that runs
/// out in `work` becomes kFailed.
Status parallel_for(uint64_t count, unsigned threads,
                    const std::function<Status(uint64_t index)>& work);

/// A queue that holds at most `capacity` items: producers wait for room, consumers for items.
/// Threads: any.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  /// False when the queue was closed meanwhile.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  /// nullopt when the queue was closed and is empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    T item = std::move(items_.front());
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
    filled_.notify_all();
  }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace cairn
