// Plain copies between a device and pinned memory, as slabs: what everything else is held against.
#pragma once

#include <functional>

#include "gpu/gpu.h"
#include "lib/staging.h"
#include "tests/bench/gpu/path_row.h"

namespace cairn {

StagingOptions staging_options(const PathOptions& options);

/// Pinned memory for some slabs, and a stream for copies.
class PlainCopies {
 public:
  static constexpr size_t kSlabs = 8;

  /// Slabs of so many bytes. Errors: kNoSpace; kFailed.
  static Result<PlainCopies> make(uint64_t slab_bytes);
  /// Copies all of the memory, slab by slab, to the host or from there. GB/s. Errors: kFailed.
  Result<double> down(gpu::DeviceSpan memory);
  Result<double> up(gpu::DeviceSpan memory);
  /// Adds a value of each of the first bytes of the memory, some slabs. What is there is the same
  /// afterwards. Errors: kFailed.
  Status add_rates(gpu::DeviceSpan memory, CopyRates& rates);
  MutableBytes slab(size_t number) const { return pinned_[number % kSlabs].span(); }

 private:
  using Copy = std::function<Status(uint8_t* device, MutableBytes slab)>;
  Result<double> copy(gpu::DeviceSpan memory, const Copy& each);

  gpu::OwnStream stream_;
  std::vector<gpu::PinnedMemory> pinned_;
};

}  // namespace cairn
