// The host as a device: its memory is the host's, and its streams are queues (gpu/simt/queues.h).
#include "gpu/device.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <set>

#include "gpu/simt/devices.h"
#include "gpu/simt/faults.h"
#include "gpu/simt/queues.h"

namespace cairn::gpu {

static constexpr unsigned kDevices = 2;
static std::atomic<unsigned> device_number{kDevices};
static thread_local unsigned current = 0;

namespace simt {

unsigned devices() { return device_number; }
unsigned current_device_number() { return current; }
void set_devices(unsigned count) { device_number = count; }

static std::mutex contexts_lock;
static std::set<unsigned> contexts;

void make_context() {
  const std::lock_guard guard(contexts_lock);
  contexts.insert(current);
}

std::vector<unsigned> take_contexts() {
  const std::lock_guard guard(contexts_lock);
  const std::set<unsigned> taken = std::exchange(contexts, {});
  return {taken.begin(), taken.end()};
}

void clear_faults() {
  set_devices(kDevices);
  set_memory(kNever);
  fail_allocations_after(kNever);
  mend_device();
}

}  // namespace simt

Result<DeviceFacts> device_facts() {
  CAIRN_CHECK(simt::check_devices("asking for the current CUDA device"));
  DeviceFacts facts{"host (simulated)", 3, 0, 9, 0};
  const uint64_t told[] = {static_cast<uint64_t>(getpid()), current};
  std::memcpy(facts.id.data(), told, sizeof told);
  return facts;
}

Result<unsigned> device_count() { return simt::devices(); }

Result<unsigned> current_device() {
  CAIRN_CHECK(simt::check_devices("asking for the current CUDA device"));
  return current;
}

Status use_device(unsigned device) {
  const std::string doing = fmt::format("making CUDA device {} the current one", device);
  CAIRN_CHECK(simt::check_devices(doing));
  if (device >= simt::devices()) {
    return fail(Code::kFailed, fmt::format("{}: invalid device ordinal (simulated)", doing));
  }
  current = device;
  return {};
}

Result<DeviceScope> DeviceScope::enter(unsigned device) {
  const unsigned before = current;
  CAIRN_CHECK(use_device(device));
  return DeviceScope(before);
}

DeviceScope::~DeviceScope() {
  if (is_entered_) current = kept_;
}

static void move_bytes(void* to, const void* from, uint64_t bytes) {
  if (bytes != 0) std::memmove(to, from, bytes);
}

static Status check_side(Stream stream, const void* data, uint64_t bytes, std::string_view doing) {
  CAIRN_TRY(const unsigned device, simt::device_of(stream, doing));
  return simt::check_memory(device, data, bytes, doing);
}

Status copy_up(Stream stream, void* device, ByteSpan host) {
  const std::string doing = fmt::format("copying {} bytes to the device", host.size());
  CAIRN_CHECK(check_side(stream, device, host.size(), doing));
  if (stream.handle == nullptr || simt::is_pinned(host)) {
    return simt::enqueue(stream, doing, [device, host]() -> Status {
      move_bytes(device, host.data(), host.size());
      return {};
    });
  }
  return simt::enqueue(stream, doing,
                       [device, taken = Bytes(host.begin(), host.end())]() -> Status {
                         move_bytes(device, taken.data(), taken.size());
                         return {};
                       });
}

Status copy_down(Stream stream, MutableBytes host, const void* device) {
  const std::string doing = fmt::format("copying {} bytes from the device", host.size());
  CAIRN_CHECK(check_side(stream, device, host.size(), doing));
  CAIRN_CHECK(simt::enqueue(stream, doing, [device, host]() -> Status {
    move_bytes(host.data(), device, host.size());
    return {};
  }));
  if (simt::is_pinned(host)) return {};
  return synchronize(stream);
}

Status copy_within(Stream stream, void* to, const void* from, uint64_t bytes) {
  const std::string doing = fmt::format("copying {} bytes on the device", bytes);
  CAIRN_CHECK(check_side(stream, to, bytes, doing));
  CAIRN_CHECK(check_side(stream, from, bytes, doing));
  return simt::enqueue(stream, doing, [to, from, bytes]() -> Status {
    move_bytes(to, from, bytes);
    return {};
  });
}

Status fill_zeros(Stream stream, void* device, uint64_t bytes) {
  if (KernelLoading::is_on()) return {};
  const std::string doing = fmt::format("clearing {} bytes on the device", bytes);
  CAIRN_CHECK(check_side(stream, device, bytes, doing));
  return simt::enqueue(stream, doing, [device, bytes]() -> Status {
    if (bytes != 0) std::memset(device, 0, bytes);
    return {};
  });
}

Status synchronize(Stream stream) {
  CAIRN_TRY(const auto end, simt::end_of(stream, "waiting for the device"));
  return simt::wait_until(end, "waiting for the device");
}

Status take_error() { return simt::check_devices("an earlier call of this program left an error"); }

}  // namespace cairn::gpu
