#include "gpu/pinned_memory.h"

#include <fmt/format.h>

#include "gpu/cuda/cuda_status.h"

namespace cairn::gpu {

static constexpr uint64_t kAlignment = 4096;  // CUDA's own is less for small ones

Result<PinnedMemory> PinnedMemory::allocate(uint64_t bytes) {
  PinnedMemory memory;
  if (bytes == 0) return memory;
  const auto doing = [&] { return fmt::format("allocating {} bytes of pinned memory", bytes); };
  if (bytes > SIZE_MAX - kAlignment) return fail(Code::kNoSpace, doing());
  CAIRN_CHECK(cuda_status(
      cudaHostAlloc(&memory.allocated_, bytes + kAlignment - 1, cudaHostAllocPortable), doing));
  const auto address = reinterpret_cast<uintptr_t>(memory.allocated_);
  memory.data_ =
      static_cast<uint8_t*>(memory.allocated_) + (round_up(address, kAlignment) - address);
  memory.size_ = bytes;
  return memory;
}

PinnedMemory::~PinnedMemory() {
  if (allocated_ != nullptr) drop_error(cudaFreeHost(allocated_));
}

}  // namespace cairn::gpu
