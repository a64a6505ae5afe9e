// The buckets of a load by ranks over NCCL: what one of them reads lies on its device, is broadcast
// from there, and is copied to where it is wanted on the others.
#pragma once

#include <array>
#include <memory>

#include "gpu/gpu.h"
#include "lib/staged_calls.h"

namespace cairn {

class DeviceBuckets final : public PassedBuckets {
 public:
  /// The device is the thread's current one while this lives. Copies to targets begin when what is
  /// now in the caller's streams is done. Errors: kFailed.
  static Result<std::unique_ptr<PassedBuckets>> open(unsigned device,
                                                     std::span<const gpu::Stream> callers);
  ~DeviceBuckets() override;

  std::span<const gpu::Stream> streams() const override { return streams_; }
  gpu::Copies copies() const override { return gpu::device_copies(); }
  Result<gpu::DeviceSpan> take(uint64_t bytes) override;
  std::optional<unsigned> device() const override { return device_; }
  Status wait(gpu::Stream stream) override { return gpu::synchronize(stream); }
  Status copy(gpu::Stream stream, const uint8_t* data, const Box& box,
              const TargetBox& target) override;
  Result<ByteSpan> on_host(gpu::Stream stream, ByteSpan bytes, AlignedBuffer& room) override;
  void abandon() override { is_abandoned_ = true; }

 private:
  DeviceBuckets(unsigned device, gpu::DeviceScope scope)
      : device_(device), scope_(std::move(scope)) {}

  const unsigned device_;
  const gpu::DeviceScope scope_;
  std::array<gpu::OwnStream, 2> own_;
  std::array<gpu::Stream, 2> streams_;
  std::array<gpu::Event, 2> copied_;  // behind the last copy to a target in each
  gpu::DeviceMemory memory_;
  bool is_abandoned_ = false;
};

}  // namespace cairn
