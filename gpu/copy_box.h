#pragma once
#include <span>
#include <vector>
#include "gpu/device.h"
#include "gpu/tile.h"
namespace cairn::gpu {
struct BoxCopy {
  const uint8_t* from = nullptr;
  std::vector<int64_t> from_strides;
  uint8_t* to = nullptr;
  std::vector<int64_t> to_strides;
  std::vector<uint64_t> lengths;
  uint64_t item_bytes = 1;
};
inline Status copy_boxes(Stream, std::span<const BoxCopy>, Share = {}) { return fail(Code::kBug, "no copy_boxes yet"); }
}
