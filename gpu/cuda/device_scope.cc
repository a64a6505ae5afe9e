#include <fmt/format.h>

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
  return cuda_status(cudaSetDevice(static_cast<int>(device)),
                     [&] { return fmt::format("making CUDA device {} the current one", device); });
}

Result<DeviceScope> DeviceScope::enter(unsigned device) {
  CAIRN_TRY(const unsigned before, current_device());
  CAIRN_CHECK(use_device(device));
  return DeviceScope(before);
}

DeviceScope::~DeviceScope() {
  if (is_entered_) drop_error(cudaSetDevice(static_cast<int>(before_)));
}

}  // namespace cairn::gpu
