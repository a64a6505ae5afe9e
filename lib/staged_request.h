// A save's request as the host can read it: of tensors on devices, the small ones have come.
#pragma once

#include <memory>
#include <optional>

#include "lib/cairn.hpp"
#include "lib/staged_calls.h"

namespace cairn {

class StagedRequest {
 public:
  /// Errors: kUsage for tensors on devices and no staging; the device's. REQUIRES: `request`
  /// outlives this.
  static Result<StagedRequest> of(const SaveRequest& request, uint64_t chunk_elements);

  const SaveRequest& request() const { return changed_ ? *changed_ : *given_; }
  /// Null where nothing is on a device.
  StagedSave* staged() const { return staged_.get(); }

 private:
  const SaveRequest* given_ = nullptr;
  std::unique_ptr<SaveRequest> changed_;
  std::unique_ptr<StagedSave> staged_;
};

}  // namespace cairn
