// How many packs are worth sending at once. A far network wants many; a busy server is the slower
// for each: a push to moto took 0.75 of the time with four at once, always, than with twelve.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace cairn {

/// Begins with the most, and goes on with half as many as long as that is as fast; later it looks
/// now and then whether more, or fewer, have become better. (Adaptive concurrency; TCP Vegas and
/// its followers are the idea.) Threads: one at a time.
class SendingWidth {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Fewer hide no latency: while one is sent the next is asked for and another is filled.
  static constexpr size_t kLeast = 3;
  /// Packs of a width before another is tried; twice as many each time that one was in vain.
  static constexpr uint64_t kHeldAtFirst = 64, kHeldMost = 512;
  /// Rates waver: one that is less by no more than this is as good.
  static constexpr double kAsFast = 0.95;

  /// What goes first brings its connections up, and is not counted.
  explicit SendingWidth(size_t most) : most_(most), width_(most), uncounted_(most) {}

  /// What should be under way now.
  size_t width() const { return trial_ != 0 ? trial_ : width_; }
  /// So many bytes were sent, by `now`.
  void sent(uint64_t bytes, Time now);

 private:
  void judge(double rate);
  void try_another();
  void count_after(uint64_t packs, size_t trial);
  size_t next() const;

  const size_t most_;
  size_t width_;                    // that is chosen
  double rate_ = 0;                 // of it, when it was measured last
  size_t trial_ = 0;                // that is tried in its place; 0: none
  bool is_down_ = true;             // the next trial is narrower
  uint64_t held_ = kHeldAtFirst;    // packs before the next one
  uint64_t uncounted_;              // packs that go before those that are counted
  uint64_t packs_ = 0, bytes_ = 0;  // that are counted, since:
  Time begun_;
};

}  // namespace cairn
