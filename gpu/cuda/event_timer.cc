#include "gpu/cuda/cuda_status.h"
#include "gpu/timer.h"

namespace cairn::gpu {

struct Timer::Marks {
  cudaEvent_t begin = nullptr, end = nullptr;

  Marks() = default;
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;
  ~Marks() {
    for (cudaEvent_t event : {begin, end}) {
      if (event != nullptr) drop_error(cudaEventDestroy(event));
    }
  }
};

Timer::Timer(std::unique_ptr<Marks> marks) : marks_(std::move(marks)) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;

Result<Timer> Timer::make() {
  auto marks = std::make_unique<Marks>();
  for (cudaEvent_t* event : {&marks->begin, &marks->end}) {
    CAIRN_CHECK(cuda_status(cudaEventCreate(event), "making an event of the device"));
  }
  return Timer(std::move(marks));
}

Status Timer::begin(Stream stream) {
  return cuda_status(cudaEventRecord(marks_->begin, static_cast<cudaStream_t>(stream.handle)),
                     "marking the begin of work");
}

Status Timer::end(Stream stream) {
  return cuda_status(cudaEventRecord(marks_->end, static_cast<cudaStream_t>(stream.handle)),
                     "marking the end of work");
}

Result<double> Timer::seconds() {
  CAIRN_CHECK(cuda_status(cudaEventSynchronize(marks_->end), "waiting for work to be timed"));
  float milliseconds = 0;
  CAIRN_CHECK(cuda_status(cudaEventElapsedTime(&milliseconds, marks_->begin, marks_->end),
                          "asking how long work took"));
  return milliseconds / 1e3;
}

}  // namespace cairn::gpu
