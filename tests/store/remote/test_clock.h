// A clock that stands until a test moves it.
#pragma once

#include "store/remote/retry.h"

namespace cairn::remote {

class TestClock final : public RetryClock {
 public:
  Milliseconds now() override { return now_; }
  int64_t wall_ns() override { return wall_; }
  /// At once: the time has passed then.
  bool wait(Milliseconds time, const std::atomic<bool>* stop) override {
    pass(time);
    return stop == nullptr || !stop->load();
  }
  double random() override { return random_value; }

  void pass(Milliseconds time) {
    now_ += time;
    wall_ += std::chrono::nanoseconds(time).count();
  }

  double random_value = 0;

 private:
  Milliseconds now_{1'000'000};
  int64_t wall_ = int64_t{1'700'000'000} * 1'000'000'000;
};

}  // namespace cairn::remote
