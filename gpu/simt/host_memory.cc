// Memory of the simulated devices and pinned memory: the host's, of which we know where it is.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>

#include "gpu/device.h"
#include "gpu/simt/devices.h"
#include "gpu/simt/faults.h"
#include "gpu/simt/queues.h"

namespace cairn::gpu {

namespace simt {

namespace {

constexpr uint64_t kBytesMost = uint64_t{1} << 39;  // no device has as much

struct Allocation {
  uint64_t bytes = 0;
  std::optional<unsigned> device;  ///< none: pinned
};

struct Memories {
  std::mutex lock;
  std::map<uintptr_t, Allocation> allocations;
  uint64_t allowed = kNever;  ///< allocations to come
  uint64_t most = kNever;     ///< bytes of a device

  /// What the address is in, with its begin.
  const std::pair<const uintptr_t, Allocation>* find(uintptr_t address) const {
    auto found = allocations.upper_bound(address);
    if (found == allocations.begin()) return nullptr;
    --found;
    return address - found->first < found->second.bytes ? &*found : nullptr;
  }
  /// None of pinned memory.
  std::optional<unsigned> device_of(const void* begin) {
    const std::lock_guard guard(lock);
    return allocations.at(reinterpret_cast<uintptr_t>(begin)).device;
  }
  uint64_t used(unsigned device) const {
    uint64_t bytes = 0;
    for (const auto& [begin, allocation] : allocations) {
      if (allocation.device == device) bytes += allocation.bytes;
    }
    return bytes;
  }
};

/// Never destroyed: objects of statics may come back at the end of the process.
Memories& memories() {
  static Memories* const all = new Memories;
  return *all;
}

/// nullptr where there is no room.
uint8_t* allocate(uint64_t bytes, size_t alignment, std::optional<unsigned> device) {
  Memories& all = memories();
  const std::lock_guard guard(all.lock);
  if (all.allowed == 0 || bytes > kBytesMost) return nullptr;
  if (device && (bytes > all.most || all.used(*device) > all.most - bytes)) return nullptr;
  auto* const data =
      static_cast<uint8_t*>(std::aligned_alloc(alignment, round_up(bytes, alignment)));
  if (data == nullptr) return nullptr;
  if (all.allowed != kNever) --all.allowed;
  all.allocations.emplace(reinterpret_cast<uintptr_t>(data), Allocation{bytes, device});
  return data;
}

/// Streams may still use it: they come first.
void give_back(void* data) {
  if (data == nullptr) return;
  make_context();
  Memories& all = memories();
  run_all(all.device_of(data).value_or(current_device_number()));
  const std::lock_guard guard(all.lock);
  all.allocations.erase(reinterpret_cast<uintptr_t>(data));
  std::free(data);
}

}  // namespace

Status check_memory(unsigned device, const void* data, uint64_t bytes, std::string_view doing) {
  Memories& all = memories();
  const std::lock_guard guard(all.lock);
  const auto address = reinterpret_cast<uintptr_t>(data);
  const auto* found = all.find(address);
  if (found == nullptr) return {};
  const auto& [begin, allocation] = *found;
  if (bytes > begin + allocation.bytes - address) {
    return fail(Code::kFailed, fmt::format("{}: invalid argument (simulated): the memory ends "
                                           "after {} of {} bytes",
                                           doing, begin + allocation.bytes - address, bytes));
  }
  if (allocation.device && *allocation.device != device) {
    return fail(Code::kFailed, fmt::format("{}: invalid argument (simulated): memory of device {} "
                                           "in a stream of device {}",
                                           doing, *allocation.device, device));
  }
  return {};
}

bool is_pinned(ByteSpan memory) {
  Memories& all = memories();
  const std::lock_guard guard(all.lock);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  const auto* found = all.find(address);
  return found != nullptr && !found->second.device &&
         memory.size() <= found->first + found->second.bytes - address;
}

uint64_t used_memory(unsigned device) {
  const std::lock_guard guard(memories().lock);
  return memories().used(device);
}

void set_memory(uint64_t bytes) {
  const std::lock_guard guard(memories().lock);
  memories().most = bytes;
}

void fail_allocations_after(uint64_t count) {
  const std::lock_guard guard(memories().lock);
  memories().allowed = count;
}

}  // namespace simt

Result<DeviceMemory> DeviceMemory::allocate(uint64_t bytes) {
  DeviceMemory memory;
  if (bytes == 0) return memory;
  const std::string doing = fmt::format("allocating {} bytes of device memory", bytes);
  simt::make_context();
  CAIRN_CHECK(simt::check_devices(doing));
  memory.data_ = simt::allocate(bytes, 256, simt::current_device_number());
  if (memory.data_ == nullptr) return fail(Code::kNoSpace, doing);
  memory.size_ = bytes;
  return memory;
}

DeviceMemory::~DeviceMemory() { simt::give_back(data_); }

Result<PinnedMemory> PinnedMemory::allocate(uint64_t bytes) {
  PinnedMemory memory;
  if (bytes == 0) return memory;
  const std::string doing = fmt::format("allocating {} bytes of pinned memory", bytes);
  simt::make_context();
  CAIRN_CHECK(simt::check_devices(doing));
  memory.data_ = simt::allocate(bytes, 4096, std::nullopt);
  if (memory.data_ == nullptr) return fail(Code::kNoSpace, doing);
  memory.allocated_ = memory.data_;
  memory.size_ = bytes;
  return memory;
}

PinnedMemory::~PinnedMemory() { simt::give_back(allocated_); }

}  // namespace cairn::gpu
