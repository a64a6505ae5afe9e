#include <cuda.h>
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "gpu/cuda/cuda_status.h"
#include "gpu/device.h"

namespace cairn::gpu {

Result<unsigned> device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  switch (static_cast<int>(error)) {
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:  // also told where there is none
    case cudaErrorStubLibrary:
      drop_error(error);
      return 0u;
    default:
      CAIRN_CHECK(cuda_status(error, "asking for the number of CUDA devices"));
      return static_cast<unsigned>(count);
  }
}

Result<unsigned> current_device() {
  int device = 0;
  CAIRN_CHECK(cuda_status(cudaGetDevice(&device), "asking for the current CUDA device"));
  return static_cast<unsigned>(device);
}

Status use_device(unsigned device) {
  CAIRN_CHECK(cuda_status(cudaSetDevice(static_cast<int>(device)), [&] {
    return fmt::format("making CUDA device {} the current one", device);
  }));
  auto mode = cudaStreamCaptureModeRelaxed;  // see DeviceScope::enter()
  drop_error(cudaThreadExchangeStreamCaptureMode(&mode));
  return {};
}

namespace {

/// Of the driver, which is asked for at run time: programs start where there is none. A context
/// that is pushed and popped leaves what was before as it was; setting the device back, as the
/// runtime can, would make a context on that one, some hundred MB of its memory for each rank of a
/// host.
struct Driver {
  CUresult (*retain)(CUcontext*, CUdevice) = nullptr;
  CUresult (*push)(CUcontext) = nullptr;
  CUresult (*pop)(CUcontext*) = nullptr;

  static const Driver& calls() {
    static const Driver driver;
    return driver;
  }

 private:
  Driver() {
    find("cuDevicePrimaryCtxRetain", retain);
    find("cuCtxPushCurrent", push);
    find("cuCtxPopCurrent", pop);
  }

  template <class Call>
  static void find(const char* name, Call& call) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
#if CUDART_VERSION >= 12050
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
#else
    const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
    drop_error(error);
    if (error == cudaSuccess && result == cudaDriverEntryPointSuccess) {
      call = reinterpret_cast<Call>(found);
    }
  }
};

}  // namespace

/// The context that the runtime uses on the device, kept as long as the program lives.
static Result<CUcontext> context_of(unsigned device) {
  static std::mutex mutex;
  static std::map<unsigned, CUcontext> contexts;
  const std::lock_guard lock(mutex);
  const auto known = contexts.find(device);
  if (known != contexts.end()) return known->second;
  CUcontext context = nullptr;
  if (Driver::calls().retain(&context, static_cast<CUdevice>(device)) != CUDA_SUCCESS) {
    return fail(Code::kFailed,
                fmt::format("there is no context to be had on CUDA device {}", device),
                "see whether the device is there, and has memory left");
  }
  contexts[device] = context;
  return context;
}

Result<DeviceScope> DeviceScope::enter(unsigned device) {
  CAIRN_TRY(const unsigned devices, device_count());
  if (device >= devices) {
    return fail(Code::kFailed,
                fmt::format("there is no CUDA device {}: there are {}", device, devices));
  }
  const Driver& driver = Driver::calls();
  if (driver.retain == nullptr || driver.push == nullptr || driver.pop == nullptr) {
    return fail(Code::kFailed, "the CUDA driver lacks calls that a version of 12 has",
                "update the driver");
  }
  CAIRN_TRY(CUcontext context, context_of(device));
  if (driver.push(context) != CUDA_SUCCESS) {
    return fail(Code::kFailed,
                fmt::format("CUDA device {} cannot be made the current one", device));
  }
  // A graph that another thread captures is not ours to break, nor does what we do here touch it.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  drop_error(cudaThreadExchangeStreamCaptureMode(&mode));
  return DeviceScope(static_cast<unsigned>(mode));
}

DeviceScope::~DeviceScope() {
  if (!is_entered_) return;
  auto mode = static_cast<cudaStreamCaptureMode>(kept_);
  drop_error(cudaThreadExchangeStreamCaptureMode(&mode));
  CUcontext context = nullptr;
  static_cast<void>(Driver::calls().pop(&context));
}

}  // namespace cairn::gpu
