#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "gpu/timer.h"

namespace cairn::gpu {

struct Timer::Marks {
  cudaEvent_t begin = nullptr, end = nullptr;

  Marks() = default;
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;
  ~Marks() {
    for (cudaEvent_t event : {begin, end}) {
      if (event != nullptr) static_cast<void>(cudaEventDestroy(event));
    }
  }
};

static Status timed(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());  // reported here, and by nobody else
  return fail(Code::kFailed,
              fmt::format("{}: {} (CUDA error {}, {})", doing, cudaGetErrorString(error),
                          static_cast<int>(error), cudaGetErrorName(error)));
}

Timer::Timer(std::unique_ptr<Marks> marks) : marks_(std::move(marks)) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&&) noexcept = default;
Timer::~Timer() = default;

Result<Timer> Timer::make() {
  auto marks = std::make_unique<Marks>();
  for (cudaEvent_t* event : {&marks->begin, &marks->end}) {
    CAIRN_CHECK(timed(cudaEventCreate(event), "making an event of the device"));
  }
  return Timer(std::move(marks));
}

Status Timer::begin(Stream stream) {
  return timed(cudaEventRecord(marks_->begin, static_cast<cudaStream_t>(stream.handle)),
               "marking the begin of work");
}

Status Timer::end(Stream stream) {
  return timed(cudaEventRecord(marks_->end, static_cast<cudaStream_t>(stream.handle)),
               "marking the end of work");
}

Result<double> Timer::seconds() {
  CAIRN_CHECK(timed(cudaEventSynchronize(marks_->end), "waiting for work to be timed"));
  float milliseconds = 0;
  CAIRN_CHECK(timed(cudaEventElapsedTime(&milliseconds, marks_->begin, marks_->end),
                    "asking how long work took"));
  return milliseconds / 1e3;
}

}  // namespace cairn::gpu
