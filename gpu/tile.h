// Bytes of a tensor where they lie in device memory, as rows: what kernels read and write.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace cairn::gpu {

/// `rows` rows of `row_bytes` bytes, each `stride_bytes` (negative or 0 too, when only read) after
/// the last. Its content is the rows put one after the other. Any alignment; fastest where the
/// address, the rows and the stride are multiples of 16 bytes. For a digest to be the store's it is
/// one chunk of a tensor's grid (lib/grid.h).
struct Tile {
  uint8_t* data = nullptr;
  uint64_t row_bytes = 0;
  int64_t stride_bytes = 0;
  uint64_t rows = 1;
};

inline constexpr uint64_t kTileBytesMost = uint64_t{1} << 50;  ///< of all that one plan takes

/// The same content, as one row where no gaps are between rows. Errors: kUsage for a content, or
/// rows farther from each other, than kTileBytesMost.
Result<Tile> merged_rows(const Tile& tile);

/// Memory of the device, lent for a call and all that it enqueues.
struct DeviceSpan {
  uint8_t* data = nullptr;
  uint64_t bytes = 0;
};

/// How much of the device an operation takes.
struct Share {
  unsigned multiprocessors = 0;  ///< at most; 0: all
};

}  // namespace cairn::gpu
