#include "lib/staged_request.h"

#include <fmt/format.h>

#include <algorithm>

namespace cairn {

Result<StagedRequest> StagedRequest::of(const SaveRequest& request, uint64_t chunk_elements) {
  StagedRequest made;
  made.given_ = &request;
  const auto on_device =
      std::find_if(request.tensors.begin(), request.tensors.end(),
                   [](const TensorSource& tensor) { return tensor.device.has_value(); });
  if (on_device == request.tensors.end()) return made;
  if (request.devices.staging == nullptr) {
    return fail(
        Code::kUsage,
        fmt::format("tensor '{}' is on device {}, and there is no staging", on_device->name,
                    *on_device->device),
        "make one with cairn_staging_new() (C++: open_staging()), or give the tensor in the host's "
        "memory");
  }
  made.changed_ = std::make_unique<SaveRequest>(request);
  CAIRN_TRY(made.staged_, request.devices.staging->begin_save(
                              request.devices, made.changed_->tensors, chunk_elements));
  return made;
}

}  // namespace cairn
