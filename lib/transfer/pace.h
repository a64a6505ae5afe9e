// How many requests are under way at once: no more than it takes for the speed that there is. More
// than that wait in queues, at the server or in the network, and are lost when the process is
// killed.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace cairn {

/// The rule: doubles the number as long as that brings more bytes a second, and goes back where it
/// does not; tries again now and then, for networks change. Threads: one at a time.
class PaceRule {
 public:
  explicit PaceRule(unsigned most) : most_(std::max(most, 1u)), limit_(std::min(most_, kFirst)) {}

  unsigned limit() const { return limit_; }
  /// One ended, at that time in seconds, which brought so much.
  void done(uint64_t bytes, double now);

 private:
  static constexpr unsigned kFirst = 4;
  static constexpr double kGain = 1.15;           // less is no gain
  static constexpr double kSecondsBetween = 2;    // tries, once one has failed
  static constexpr double kSecondsOfLook = 0.05;  // at least: shorter ones say nothing

  void look(double rate, double now);

  const unsigned most_;
  unsigned limit_;
  unsigned ended_ = 0;  // since the look began
  uint64_t bytes_ = 0;
  double begun_ = -1;
  double rate_before_ = 0;  // with half as many; 0: none was tried
  double next_try_ = 0;
};

/// Lets threads in by the rule. Threads: any.
class Pace {
 public:
  explicit Pace(unsigned most) : rule_(most) {}

  /// Waits until one more may be under way; that one ends with it.
  class Turn {
   public:
    Turn(Pace& pace, uint64_t bytes) : pace_(pace), bytes_(bytes) { pace_.enter(); }
    ~Turn() { pace_.leave(bytes_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Pace& pace_;
    const uint64_t bytes_;
  };

 private:
  void enter();
  void leave(uint64_t bytes);

  const Stopwatch watch_;
  std::mutex mutex_;
  std::condition_variable free_;
  PaceRule rule_;
  unsigned inside_ = 0;
};

}  // namespace cairn
