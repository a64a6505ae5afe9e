// The host as a device: its memory is the host's, and what is enqueued is done at once.
#include "gpu/device.h"

#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace cairn::gpu {

static constexpr uint64_t kAlignment = 256;

Result<DeviceFacts> device_facts() { return DeviceFacts{"host (simulated)", 3, 0, 9, 0}; }

static thread_local unsigned current = 0;

Result<unsigned> device_count() { return 2u; }
Result<unsigned> current_device() { return current; }
Result<DeviceScope> DeviceScope::enter(unsigned device) {
  if (device >= 2) return fail(Code::kFailed, fmt::format("there is no device {}", device));
  return DeviceScope(std::exchange(current, device));
}
DeviceScope::~DeviceScope() {
  if (is_entered_) current = before_;
}

Result<DeviceMemory> DeviceMemory::allocate(uint64_t bytes) {
  DeviceMemory memory;
  if (bytes == 0) return memory;
  memory.size_ = bytes;
  if (bytes <= SIZE_MAX / 2) {
    const size_t rounded = round_up(bytes, kAlignment);
    memory.data_ = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
  }
  if (memory.data_ != nullptr) return memory;
  memory.size_ = 0;
  return fail(Code::kNoSpace, fmt::format("allocating {} bytes of device memory", bytes));
}

DeviceMemory::~DeviceMemory() { std::free(data_); }

static Status copy(void* to, const void* from, uint64_t bytes) {
  if (bytes != 0) std::memmove(to, from, bytes);
  return {};
}

Status copy_up(Stream, void* device, ByteSpan host) {
  return copy(device, host.data(), host.size());
}
Status copy_down(Stream, MutableBytes host, const void* device) {
  return copy(host.data(), device, host.size());
}
Status copy_within(Stream, void* to, const void* from, uint64_t bytes) {
  return copy(to, from, bytes);
}
Status fill_zeros(Stream, void* device, uint64_t bytes) {
  if (bytes != 0 && !KernelLoading::is_on()) std::memset(device, 0, bytes);
  return {};
}
Status synchronize(Stream) { return {}; }
Status take_error() { return {}; }

}  // namespace cairn::gpu
