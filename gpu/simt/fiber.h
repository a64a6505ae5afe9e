// A stack of its own for each thread of a kernel, so that it can stop at a barrier and go on later.
// To ThreadSanitizer each stack is a thread, so what runs on one is ordered after what ran there
// before: a thread made anew each time would cost it ten times as much.
#pragma once

#include "gpu/simt/fresh_memory.h"

namespace cairn::gpu::simt {

/// Threads: one at a time, the one that made it.
class Fiber {
 public:
  using Entry = void (*)(void* argument);

  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() begins `entry`. What ran before and did not end is dropped where it stood:
  /// nothing on its stack is destroyed. False where there is no room for a stack.
  bool prepare(Entry entry, void* argument);
  /// Runs it until it suspends or ends.
  void resume();
  /// REQUIRES: called by what runs in it. Returns at the next resume().
  void suspend();
  bool has_ended() const { return has_ended_; }

 private:
  using Place = void* [5];  ///< as __builtin_setjmp wants it

  static void run(unsigned low, unsigned high);
  void begin();

  FreshMemory stack_;
  Place own_place_, caller_place_;
  bool has_begun_ = false;  ///< its own place is on the stack
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  bool has_ended_ = true;
  void* tsan_own_ = nullptr;     ///< what ThreadSanitizer takes for this thread
  void* tsan_caller_ = nullptr;  ///< and for the one that resumed it
};

// Order that barriers make, for ThreadSanitizer: what was done before order_release(object) is seen
// after order_acquire(object). Nothing in other builds.
void order_release(void* object);
void order_acquire(void* object);

}  // namespace cairn::gpu::simt
