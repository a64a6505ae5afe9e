// The device that work is enqueued on: its facts, its memory, its streams, and what it says when
// something fails. One of two libraries stands behind it: CUDA's runtime (gpu/cuda), or the host
// itself running the same kernels (gpu/simt).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "gpu/pinned_memory.h"
#include "gpu/stream.h"
#include "gpu/tile.h"

namespace cairn::gpu {

struct DeviceFacts {
  std::string name;
  unsigned multiprocessors = 1;
  uint64_t memory_bytes = 0;
  int major = 0, minor = 0;      ///< compute capability
  std::array<uint8_t, 16> id{};  ///< no other device of any host has it
};

/// The calling thread's current device. Errors: kFailed with the reason and what to do: no driver,
/// one that is too old, no device. Threads: any. Takes some milliseconds.
Result<DeviceFacts> device_facts();

/// 0 where no driver or no device is, which is no error. Errors: kFailed. Threads: any.
Result<unsigned> device_count();
/// Of the calling thread. Errors: kFailed as for device_facts().
Result<unsigned> current_device();

/// Makes a device the calling thread's current one, for good: for threads of our own, so that their
/// end does not go back to a device that they never used. As in a DeviceScope, the thread may do
/// from then on what CUDA forbids because another one captures a graph. Errors: kFailed, also when
/// there is no such device.
Status use_device(unsigned device);

/// Makes a device the calling thread's current one for as long as it lives, and then the one that
/// was before, which is not touched. While it lives the thread may also do what CUDA forbids to it
/// because another one captures a graph, such as allocating. Threads: the one that entered; scopes
/// end in the reverse of their order.
class DeviceScope {
 public:
  /// Errors: kFailed, also when there is no such device.
  static Result<DeviceScope> enter(unsigned device);
  DeviceScope(DeviceScope&& other) noexcept
      : kept_(other.kept_), is_entered_(std::exchange(other.is_entered_, false)) {}
  DeviceScope& operator=(DeviceScope&&) = delete;
  ~DeviceScope();

 private:
  explicit DeviceScope(unsigned kept) : kept_(kept), is_entered_(true) {}
  unsigned kept_;  ///< what is put back
  bool is_entered_;
};

/// Memory of the current device. Aligned to 256 bytes. It is given back at the end of its life, for
/// which the device waits for what is enqueued.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  /// Errors: kNoSpace when the device has no such room. Synchronises, as all of the driver's own
  /// allocations do; the calls of gpu/gpu.h never allocate.
  static Result<DeviceMemory> allocate(uint64_t bytes);
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    DeviceMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceMemory();

  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  /// Lent, as calls want it.
  DeviceSpan span() const { return {data_, size_}; }

 private:
  void swap(DeviceMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};

// Enqueued, in the order of the stream. Pinned host memory (PinnedMemory, or pinned by others) is
// read and written by the device when the stream comes to it: the caller keeps it as it is until
// then, and knows by an Event or synchronize(). Other host memory is copied before the call returns
// (up) or makes it wait until the stream is there (down). Errors: kFailed.
Status copy_up(Stream stream, void* device, ByteSpan host);
Status copy_down(Stream stream, MutableBytes host, const void* device);
Status copy_within(Stream stream, void* to, const void* from, uint64_t bytes);
/// Does nothing while kernels are loaded.
Status fill_zeros(Stream stream, void* device, uint64_t bytes);
/// Waits for all that was enqueued. Errors: kFailed with what failed of it.
Status synchronize(Stream stream);

/// Takes away an error that earlier work of the program left behind, ours or not, so that it is
/// reported once and not by whoever comes next. Errors: kFailed telling it. An error after which
/// the device takes no more work stays, and the message says so.
Status take_error();

/// CUDA loads a kernel when it is first called, which takes memory of the device and may wait for
/// it. Calls of gpu/gpu.h that a thread makes while one of these lives load the kernels that they
/// would enqueue and enqueue nothing, so that no call in a training step is a first one. Their
/// spans must be as large as ever, whatever they hold; copies are made as ever.
class KernelLoading {
 public:
  KernelLoading();
  ~KernelLoading();
  KernelLoading(const KernelLoading&) = delete;
  KernelLoading& operator=(const KernelLoading&) = delete;
  /// Of the calling thread.
  static bool is_on();
};

/// The status of a launch (gpu/kernel.h) by its error number, which is cleared.
Status launched(const char* kernel, int error_number);

}  // namespace cairn::gpu
