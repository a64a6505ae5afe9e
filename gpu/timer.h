// How long enqueued work takes, as the device sees it: events of CUDA (gpu/cuda), or the clock of
// the host that is the device (gpu/simt).
#pragma once

#include <memory>

#include "gpu/device.h"

namespace cairn::gpu {

/// Threads: one at a time.
class Timer {
 public:
  /// Errors: kFailed.
  static Result<Timer> make();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  ~Timer();

  /// Enqueue the marks before and after the work. Errors: kFailed.
  Status begin(Stream stream);
  Status end(Stream stream);
  /// Between the last two marks; waits for them. REQUIRES: both were enqueued, in one stream.
  /// Errors: kFailed with what failed of the work.
  Result<double> seconds();

 private:
  struct Marks;
  explicit Timer(std::unique_ptr<Marks> marks);
  std::unique_ptr<Marks> marks_;
};

}  // namespace cairn::gpu
