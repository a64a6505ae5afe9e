// The buckets of a load by ranks over the job's CPU group: in the host's memory.
#pragma once

#include <array>

#include "lib/staged_calls.h"

namespace cairn {

/// Streams are but names here: nothing is under way but what a transport broadcasts.
class HostBuckets final : public PassedBuckets {
 public:
  HostBuckets() : streams_{{{&names_[0]}, {&names_[1]}}} {}

  std::span<const gpu::Stream> streams() const override { return streams_; }
  gpu::Copies copies() const override { return gpu::host_copies(); }
  Result<gpu::DeviceSpan> take(uint64_t bytes) override;
  std::optional<unsigned> device() const override { return std::nullopt; }
  Status wait(gpu::Stream) override { return {}; }
  Status copy(gpu::Stream, const uint8_t*, const Box&, const TargetBox&) override;
  Result<ByteSpan> on_host(gpu::Stream, ByteSpan bytes, AlignedBuffer&) override { return bytes; }
  void abandon() override {}  // a broken MemoryTransport has nothing under way

 private:
  std::array<char, 2> names_ = {};
  std::array<gpu::Stream, 2> streams_;
  AlignedBuffer memory_;
};

}  // namespace cairn
