// How ranks reach each other over a communicator of the caller's.
#include "gpu/group_calls.h"
#include "gpu/memory_transport.h"
#include "lib/device/device_staging.h"
#include "lib/device/on_its_device.h"

namespace cairn {

gpu::NcclOptions options_of(const RankGroup& group) {
  gpu::NcclOptions options;
  options.timeout = group.timeout;
  options.is_done = gpu::is_done;
  if (group.host.look != nullptr) options.look = [host = group.host] { return gpu::look_in(host); };
  return options;
}

Result<std::unique_ptr<gpu::Transport>> DeviceStaging::join(const RankGroup& group) {
  CAIRN_TRY(auto library, gpu::NcclLibrary::find());
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(group.device));
  gpu::NcclOptions options = options_of(group);
  options.stream = {group.stream};
  OnItsDevice::Needs needs;
  if (group.host.all_gather != nullptr && group.host.broadcast != nullptr) {
    CAIRN_TRY(needs.beside, gpu::MemoryTransport::make(group.host, group.timeout));
    options.beside = needs.beside.get();
  }
  CAIRN_TRY(auto nccl, gpu::NcclTransport::use(std::move(library),
                                               static_cast<gpu::NcclComm>(group.nccl), options));
  return std::make_unique<OnItsDevice>(group.device, std::move(needs), std::move(nccl));
}

}  // namespace cairn
