#include "tests/bench/gpu/plain_copies.h"

#include <algorithm>

#include "base/clock.h"

namespace cairn {

StagingOptions staging_options(const PathOptions& options) {
  StagingOptions staging;
  staging.pinned_bytes = options.pinned_bytes;
  staging.slab_bytes = options.slab_bytes;
  staging.device_bytes = options.device_bytes;
  staging.multiprocessors = options.multiprocessors;
  return staging;
}

Result<PlainCopies> PlainCopies::make(uint64_t slab_bytes) {
  PlainCopies copies;
  CAIRN_TRY(copies.stream_, gpu::OwnStream::make());
  for (size_t i = 0; i < kSlabs; ++i) {
    CAIRN_TRY(auto memory, gpu::PinnedMemory::allocate(slab_bytes));
    std::fill_n(memory.data(), memory.size(), uint8_t{0});
    copies.pinned_.push_back(std::move(memory));
  }
  return copies;
}

Result<double> PlainCopies::copy(gpu::DeviceSpan memory, const Copy& each) {
  const Stopwatch watch;
  size_t number = 0;
  for (uint64_t at = 0; at < memory.bytes; ++number) {
    const uint64_t bytes = std::min<uint64_t>(slab(0).size(), memory.bytes - at);
    CAIRN_CHECK(each(memory.data + at, slab(number).first(bytes)));
    at += bytes;
  }
  CAIRN_CHECK(gpu::synchronize(stream_.stream()));
  return static_cast<double>(memory.bytes) / 1e9 / std::max(watch.seconds(), 1e-9);
}

Result<double> PlainCopies::down(gpu::DeviceSpan memory) {
  return copy(memory, [&](uint8_t* device, MutableBytes slab) {
    return gpu::copy_down(stream_.stream(), slab, device);
  });
}

Result<double> PlainCopies::up(gpu::DeviceSpan memory) {
  return copy(memory, [&](uint8_t* device, MutableBytes slab) {
    return gpu::copy_up(stream_.stream(), device, slab);
  });
}

Status PlainCopies::add_rates(gpu::DeviceSpan memory, CopyRates& rates) {
  // As much as there are slabs for, so that what went down goes up again.
  memory.bytes = std::min<uint64_t>(memory.bytes, kSlabs * slab(0).size());
  CAIRN_TRY(const double down_rate, down(memory));
  CAIRN_TRY(const double up_rate, up(memory));
  rates.down.push_back(down_rate);
  rates.up.push_back(up_rate);
  return {};
}

}  // namespace cairn
