// Work for several threads: the first error stops the rest and is what the caller gets.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

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
  explicit BoundedQueue(size_t capacity) : items_(capacity) {}

  /// False when the queue was closed meanwhile.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || count_ < items_.size(); });
    if (closed_) return false;
    items_[(first_ + count_) % items_.size()] = std::move(item);
    ++count_;
    filled_.notify_one();
    return true;
  }

  /// nullopt when the queue was closed and is empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || count_ > 0; });
    if (count_ == 0) return std::nullopt;
    std::optional<T> item = std::exchange(items_[first_], std::nullopt);
    first_ = (first_ + 1) % items_.size();
    --count_;
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
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::vector<std::optional<T>> items_;  // a ring
  size_t first_ = 0, count_ = 0;
  bool closed_ = false;
};

}  // namespace cairn
