#include "base/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "base/fs.h"

namespace cairn {

static constexpr uint64_t kHugePageBytes = 2 * kMiB;

void AlignedBuffer::Free::operator()(uint8_t* memory) const { std::free(memory); }

AlignedBuffer::AlignedBuffer(uint64_t bytes) {
  const uint64_t alignment = bytes >= kHugePageBytes ? kHugePageBytes : kDirectAlignment;
  bytes_ = round_up(bytes, alignment);
  memory_.reset(static_cast<uint8_t*>(std::aligned_alloc(alignment, bytes_)));
  if (memory_ == nullptr && bytes_ != 0) throw std::bad_alloc();
  // First touches of fresh memory are several times faster in huge pages; a refusal costs nothing.
  if (bytes_ >= kHugePageBytes) (void)madvise(memory_.get(), bytes_, MADV_HUGEPAGE);
}

}  // namespace cairn
