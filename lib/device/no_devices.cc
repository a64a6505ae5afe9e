// In builds without kernels for devices.
#include "base/bytes.h"
#include "lib/staging.h"

namespace cairn {

Result<unsigned> count_devices() { return 0; }

Result<std::unique_ptr<Staging>> open_staging(const StagingOptions&) {
  return fail(Code::kFailed, "this build of Cairn has no kernels for devices",
              "build it where nvcc is (docs/GPU.md), or give tensors in the host's memory");
}

}  // namespace cairn
