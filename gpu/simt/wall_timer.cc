// What is enqueued on the host is done at once, so its clock tells.
#include "base/clock.h"
#include "gpu/timer.h"

namespace cairn::gpu {

struct Timer::Marks {
  Stopwatch watch;
  double seconds = 0;
};

Timer::Timer(std::unique_ptr<Marks> marks) : marks_(std::move(marks)) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;

Result<Timer> Timer::make() { return Timer(std::make_unique<Marks>()); }

Status Timer::begin(Stream) {
  marks_->watch = Stopwatch();
  return {};
}

Status Timer::end(Stream) {
  marks_->seconds = marks_->watch.seconds();
  return {};
}

Result<double> Timer::seconds() { return marks_->seconds; }

}  // namespace cairn::gpu
