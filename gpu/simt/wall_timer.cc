// The host that is the device does what is enqueued, so its clock tells when.
#include "base/clock.h"
#include "gpu/simt/queues.h"
#include "gpu/timer.h"

namespace cairn::gpu {

struct Timer::Marks {
  struct Times {
    Stopwatch watch;
    double seconds = 0;
  };
  std::shared_ptr<Times> times = std::make_shared<Times>();  ///< the queue's too
  simt::Point end;
};

Timer::Timer(std::unique_ptr<Marks> marks) : marks_(std::move(marks)) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;

Result<Timer> Timer::make() { return Timer(std::make_unique<Marks>()); }

Status Timer::begin(Stream stream) {
  return simt::enqueue(stream, "marking the begin of work", [times = marks_->times]() -> Status {
    times->watch = Stopwatch();
    return {};
  });
}

Status Timer::end(Stream stream) {
  CAIRN_CHECK(simt::enqueue(stream, "marking the end of work", [times = marks_->times]() -> Status {
    times->seconds = times->watch.seconds();
    return {};
  }));
  CAIRN_TRY(marks_->end, simt::end_of(stream, "marking the end of work"));
  return {};
}

Result<double> Timer::seconds() {
  CAIRN_CHECK(simt::wait_until(marks_->end, "waiting for work to be timed"));
  return marks_->times->seconds;
}

}  // namespace cairn::gpu
