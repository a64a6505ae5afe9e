#include "gpu/device.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "gpu/cuda/cuda_status.h"

namespace cairn::gpu {

/// Whether the context of the process is lost with it.
static bool is_sticky(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
      return true;
    default:
      return false;
  }
}

static std::string hint_of(cudaError_t error) {
  if (is_sticky(error)) {
    return "the device takes no more work of this process; find the kernel that failed with "
           "CUDA_LAUNCH_BLOCKING=1 or compute-sanitizer, and start again";
  }
  switch (static_cast<int>(error)) {
    case cudaErrorInsufficientDriver:
      return "there is no NVIDIA driver here, or one that is older than the CUDA runtime in this "
             "program: install or update it, or go on without the device";
    case cudaErrorNoDevice:
    case cudaErrorStubLibrary:
      return "there is no NVIDIA driver or no device here; what a device does, the host does too";
    case cudaErrorMemoryAllocation:
      return "free memory of the device, or give less work at a time";
    case cudaErrorNoKernelImageForDevice:
      return "this program has no code for that device: build it with the device's architecture "
             "(meson option gpu_architectures)";
    default:
      return {};
  }
}

Status cuda_failure(cudaError_t error, std::string_view doing) {
  static_cast<void>(cudaGetLastError());  // reported here, and by nobody else
  const Code code = error == cudaErrorMemoryAllocation ? Code::kNoSpace : Code::kFailed;
  return fail(code,
              fmt::format("{}: {} (CUDA error {}, {})", doing, cudaGetErrorString(error),
                          static_cast<int>(error), cudaGetErrorName(error)),
              hint_of(error));
}

static cudaStream_t cuda(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }

Result<DeviceFacts> device_facts() {
  int device = 0;
  CAIRN_CHECK(cuda_status(cudaGetDevice(&device), "asking for the current CUDA device"));
  cudaDeviceProp properties;
  CAIRN_CHECK(cuda_status(cudaGetDeviceProperties(&properties, device), [&] {
    return fmt::format("asking for the properties of CUDA device {}", device);
  }));
  DeviceFacts facts{properties.name, static_cast<unsigned>(properties.multiProcessorCount),
                    properties.totalGlobalMem, properties.major, properties.minor};
  static_assert(sizeof properties.uuid.bytes == sizeof facts.id);
  std::memcpy(facts.id.data(), properties.uuid.bytes, sizeof facts.id);
  return facts;
}

Result<DeviceMemory> DeviceMemory::allocate(uint64_t bytes) {
  DeviceMemory memory;
  if (bytes == 0) return memory;
  void* data = nullptr;
  CAIRN_CHECK(cuda_status(cudaMalloc(&data, bytes), [&] {
    return fmt::format("allocating {} bytes of device memory", bytes);
  }));
  memory.data_ = static_cast<uint8_t*>(data);
  memory.size_ = bytes;
  return memory;
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) drop_error(cudaFree(data_));
}

/// Whether the device may come for memory later that is not pinned: where it reads the host's pages
/// by itself (HMM, ATS) the driver need not copy them first.
static bool is_read_later(const void* host) {
  int device = 0, reads_pages = 0;
  cudaPointerAttributes attributes{};
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&reads_pages, cudaDevAttrPageableMemoryAccess, device) ==
             cudaSuccess &&
         reads_pages != 0 && cudaPointerGetAttributes(&attributes, host) == cudaSuccess &&
         attributes.type == cudaMemoryTypeUnregistered;
}

Status copy_up(Stream stream, void* device, ByteSpan host) {
  CAIRN_CHECK(cuda_status(
      cudaMemcpyAsync(device, host.data(), host.size(), cudaMemcpyHostToDevice, cuda(stream)),
      [&] { return fmt::format("copying {} bytes to the device", host.size()); }));
  return is_read_later(host.data()) ? synchronize(stream) : Status();
}

Status copy_down(Stream stream, MutableBytes host, const void* device) {
  return cuda_status(
      cudaMemcpyAsync(host.data(), device, host.size(), cudaMemcpyDeviceToHost, cuda(stream)),
      [&] { return fmt::format("copying {} bytes from the device", host.size()); });
}

Status copy_within(Stream stream, void* to, const void* from, uint64_t bytes) {
  return cuda_status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda(stream)),
                     [&] { return fmt::format("copying {} bytes on the device", bytes); });
}

Status fill_zeros(Stream stream, void* device, uint64_t bytes) {
  if (KernelLoading::is_on()) return {};
  return cuda_status(cudaMemsetAsync(device, 0, bytes, cuda(stream)),
                     [&] { return fmt::format("clearing {} bytes on the device", bytes); });
}

Status synchronize(Stream stream) {
  return cuda_status(cudaStreamSynchronize(cuda(stream)), "waiting for the device");
}

Status take_error() {
  return cuda_status(cudaGetLastError(), "an earlier call of this program left an error");
}

Status launched(const char* name, int error_number) {
  if (error_number == cudaSuccess) return {};
  return cuda_status(static_cast<cudaError_t>(error_number),
                     [&] { return fmt::format("starting kernel {}", name); });
}

}  // namespace cairn::gpu
