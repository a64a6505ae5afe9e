// Memory that nobody has used before, also in the eyes of ThreadSanitizer, which remembers of other
// memory who wrote there before it was given back.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <utility>

namespace cairn::gpu::simt {

class FreshMemory {
 public:
  FreshMemory() = default;
  /// Without data where there is no room.
  explicit FreshMemory(size_t bytes) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) data_ = nullptr;
  }
  FreshMemory(FreshMemory&& other) noexcept { swap(other); }
  FreshMemory& operator=(FreshMemory&& other) noexcept {
    FreshMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~FreshMemory() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }

  void* data() const { return data_; }

 private:
  void swap(FreshMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace cairn::gpu::simt
