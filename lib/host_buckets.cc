#include "lib/host_buckets.h"

#include "base/memory_guard.h"

namespace cairn {

Result<gpu::DeviceSpan> HostBuckets::take(uint64_t bytes) {
  return guard_memory([&]() -> Result<gpu::DeviceSpan> {
    memory_ = AlignedBuffer(bytes);
    return gpu::DeviceSpan{memory_.data(), memory_.size()};
  });
}

Status HostBuckets::copy(gpu::Stream, const uint8_t*, const Box&, const TargetBox&) {
  return fail(Code::kBug, "a device's copy of what is in the host's memory");
}

}  // namespace cairn
