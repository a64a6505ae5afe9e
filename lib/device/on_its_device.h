// A transport over NCCL that may be used whatever device is the thread's current one.
#pragma once

#include <memory>

#include "gpu/nccl/nccl_transport.h"
#include "lib/rank_group.h"

namespace cairn {

/// The communicator's device is the current one in each call.
class OnItsDevice final : public gpu::Transport {
 public:
  /// What the transport needs and does not have itself; each may be empty.
  struct Needs {
    std::unique_ptr<gpu::Transport> beside = nullptr;
    gpu::OwnStream stream = {};
  };
  OnItsDevice(unsigned device, Needs needs, std::unique_ptr<gpu::NcclTransport> nccl)
      : device_(device), needs_(std::move(needs)), nccl_(std::move(nccl)) {}
  ~OnItsDevice() override {
    const auto scope = gpu::DeviceScope::enter(device_);
    nccl_.reset();
    needs_.stream = {};
  }
  unsigned rank() const override { return nccl_->rank(); }
  unsigned size() const override { return nccl_->size(); }
  Status all_gather(ByteSpan own, MutableBytes all) override {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device_));
    return nccl_->all_gather(own, all);
  }
  Status broadcast(gpu::Stream stream, gpu::DeviceSpan bytes, unsigned root) override {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device_));
    return nccl_->broadcast(stream, bytes, root);
  }
  Status finish(gpu::Stream stream) override {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device_));
    return nccl_->finish(stream);
  }
  bool may_hang() const override { return nccl_->may_hang(); }

 private:
  unsigned device_;
  Needs needs_;
  std::unique_ptr<gpu::NcclTransport> nccl_;
};

/// As a group says, but for a stream and where ranks meet beside.
gpu::NcclOptions options_of(const RankGroup& group);

}  // namespace cairn
