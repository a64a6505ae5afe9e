// Memory of the host that devices read and write by themselves.
#pragma once

#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn::gpu {

/// Aligned to 4096 bytes. All devices may use it, whichever was current. Copies between it and a
/// device are enqueued like kernels (gpu/device.h): it must neither be written nor read by the host
/// before they are done. It is given back at the end of its life, for which devices may wait for
/// what is enqueued.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  /// Takes long, for the system pins every page. Errors: kNoSpace when it has no such room;
  /// kFailed.
  static Result<PinnedMemory> allocate(uint64_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept { swap(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept {
    PinnedMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PinnedMemory();

  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  MutableBytes span() const { return {data_, size_}; }

 private:
  void swap(PinnedMemory& other) noexcept {
    std::swap(allocated_, other.allocated_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  void* allocated_ = nullptr;  ///< what holds the data
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace cairn::gpu
