// One tensor on a simulated device on which things go wrong.
#pragma once

#include "gpu/simt/faults.h"
#include "gpu/simt/run_grid.h"
#include "tests/lib/device/device_fixture.h"

namespace cairn {

class FaultyDeviceFixture : public DeviceFixture {
 protected:
  static constexpr uint64_t kRows = 160;
  const Shape shape_ = {kRows, 1024};

  SaveRequest request_of(const std::string& tag, const Bytes& data) {
    SaveRequest request;
    request.tag = tag;
    request.tensors = cut("w", shape_, data, 0, 1, false);
    return request;
  }
};

}  // namespace cairn
