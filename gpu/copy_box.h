// Copies of boxes of items between memories of any strides on the device: transposed tensors, and
// chunks that are made of several boxes. What lies in rows is for gather and scatter, which are
// faster.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/device.h"
#include "gpu/tile.h"

namespace cairn::gpu {

inline constexpr size_t kBoxRankMost = 16;

/// Item (i, j, ...) is at from + i * from_strides[0] + j * from_strides[1] + ..., and goes to the
/// same of `to`. All strides are in bytes, at any alignment; fastest where they, the addresses, and
/// what lies back to back on both sides are multiples of 16.
struct BoxCopy {
  const uint8_t* from = nullptr;
  std::vector<int64_t> from_strides;  ///< may be negative or 0
  uint8_t* to = nullptr;
  std::vector<int64_t> to_strides;  ///< positive
  std::vector<uint64_t> lengths;
  uint64_t item_bytes = 1;  ///< 1, 2, 4, 8 or 16
};

/// Enqueues a kernel for some dozens of boxes each; what it needs to know of them goes with it, so
/// `boxes` is the caller's again and no memory of the device is needed. Errors: kUsage, naming the
/// box, for one that is not as above, or is, or spans, more than kTileBytesMost; kFailed.
/// REQUIRES: no byte that two items are to go to, and none that is also read.
Status copy_boxes(Stream stream, std::span<const BoxCopy> boxes, Share share = {});

}  // namespace cairn::gpu
