// How ranks reach each other over a communicator of the caller's.
#include "gpu/memory_transport.h"
#include "gpu/nccl/nccl_transport.h"
#include "lib/device/device_staging.h"
#include "lib/rank_group.h"

namespace cairn {
namespace {

/// Its device is the current one in each call.
class OnItsDevice final : public gpu::Transport {
 public:
  OnItsDevice(unsigned device, std::unique_ptr<gpu::Transport> beside,
              std::unique_ptr<gpu::NcclTransport> nccl)
      : device_(device), beside_(std::move(beside)), nccl_(std::move(nccl)) {}
  ~OnItsDevice() override {
    const auto scope = gpu::DeviceScope::enter(device_);
    nccl_.reset();
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

 private:
  unsigned device_;
  std::unique_ptr<gpu::Transport> beside_;  // lives longer than what meets there
  std::unique_ptr<gpu::NcclTransport> nccl_;
};

}  // namespace

Result<std::unique_ptr<gpu::Transport>> DeviceStaging::join(const RankGroup& group) {
  CAIRN_TRY(auto library, gpu::NcclLibrary::find());
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(group.device));
  gpu::NcclOptions options;
  options.timeout = group.timeout;
  options.is_done = gpu::is_done;
  options.stream = {group.stream};
  std::unique_ptr<gpu::Transport> beside;
  if (group.host.all_gather != nullptr && group.host.broadcast != nullptr) {
    CAIRN_TRY(beside, gpu::MemoryTransport::make(group.host, group.timeout));
    options.beside = beside.get();
  }
  CAIRN_TRY(auto nccl, gpu::NcclTransport::use(std::move(library),
                                               static_cast<gpu::NcclComm>(group.nccl), options));
  return std::make_unique<OnItsDevice>(group.device, std::move(beside), std::move(nccl));
}

}  // namespace cairn
