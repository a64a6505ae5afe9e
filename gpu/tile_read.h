// Reads the content of a tile sixteen bytes at a time, whatever its alignment. For kernels.
#pragma once

#include "gpu/kernel.h"
#include "gpu/tile.h"

namespace cairn::gpu {

/// Sixteen bytes at a multiple of 16, of memory that nobody writes to while the kernel runs.
CAIRN_DEVICE uint4 load_vector(const uint8_t* from) {
  return __ldg(reinterpret_cast<const uint4*>(from));
}

/// Sixteen bytes at any address. Only words that hold one of them are read, so no read is outside
/// the memory that holds them.
CAIRN_DEVICE uint4 load16(const uint8_t* from) {
  const auto address = reinterpret_cast<uintptr_t>(from);
  if ((address & 15) == 0) return load_vector(from);
  const unsigned shift = 8 * (address & 3);
  const auto* words = reinterpret_cast<const unsigned*>(from - (address & 3));
  unsigned w[5] = {words[0], words[1], words[2], words[3], 0};
  if (shift != 0) w[4] = words[4];
  return make_uint4(__funnelshift_r(w[0], w[1], shift), __funnelshift_r(w[1], w[2], shift),
                    __funnelshift_r(w[2], w[3], shift), __funnelshift_r(w[3], w[4], shift));
}

/// The row of a place in the content. REQUIRES: rows that are not empty.
CAIRN_DEVICE uint64_t row_of(const Tile& tile, uint64_t offset) {
  if (tile.rows <= 1) return 0;
  // Division of 32 bits is several times faster.
  if ((offset | tile.row_bytes) >> 32 == 0) {
    return static_cast<unsigned>(offset) / static_cast<unsigned>(tile.row_bytes);
  }
  return offset / tile.row_bytes;
}

/// Whether every sixteen bytes of the content at a multiple of 16 lie in one piece and aligned, but
/// for the last ones.
CAIRN_DEVICE bool has_plain_vectors(const Tile& tile) {
  const uint64_t row_bytes = tile.rows <= 1 ? 0 : tile.row_bytes;
  return ((reinterpret_cast<uintptr_t>(tile.data) | row_bytes |
           static_cast<uint64_t>(tile.stride_bytes)) &
          15) == 0;
}
/// REQUIRES: has_plain_vectors(tile), an offset that is a multiple of 16, sixteen bytes from there.
CAIRN_DEVICE uint8_t* plain_vector_at(const Tile& tile, uint64_t offset) {
  const uint64_t row = row_of(tile, offset);
  return tile.data + static_cast<int64_t>(row) * tile.stride_bytes +
         (offset - row * tile.row_bytes);
}

/// A place in the content of a tile.
class TileCursor {
 public:
  /// REQUIRES: offset <= the content's bytes.
  CAIRN_DEVICE TileCursor(const Tile& tile, uint64_t offset)
      : row_bytes_(tile.row_bytes),
        gap_bytes_(tile.stride_bytes - static_cast<int64_t>(tile.row_bytes)) {
    const uint64_t row = row_of(tile, offset);
    const uint64_t column = offset - row * tile.row_bytes;
    at_ = tile.data + static_cast<int64_t>(row) * tile.stride_bytes + column;
    run_ = tile.row_bytes - column;
  }

  CAIRN_DEVICE const uint8_t* here() const { return at_; }
  /// Bytes of the row from here on.
  CAIRN_DEVICE uint64_t run() const { return run_; }

  /// The next `bytes` (1 to 16), followed by zeros.
  CAIRN_DEVICE uint4 take(unsigned bytes) {
    if (bytes == 16 && run_ >= 16) {
      const uint4 value = load16(at_);
      step(16);
      return value;
    }
    unsigned words[4] = {0, 0, 0, 0};
#pragma unroll 1
    for (unsigned i = 0; i < bytes; ++i) {
      // Written so that the words stay in registers.
      const unsigned byte = unsigned{*at_} << (8 * (i % 4));
      words[0] |= i / 4 == 0 ? byte : 0;
      words[1] |= i / 4 == 1 ? byte : 0;
      words[2] |= i / 4 == 2 ? byte : 0;
      words[3] |= i / 4 == 3 ? byte : 0;
      step(1);
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
  }

 private:
  /// REQUIRES: bytes <= run().
  CAIRN_DEVICE void step(unsigned bytes) {
    at_ += bytes;
    run_ -= bytes;
    if (run_ > 0) return;
    at_ += gap_bytes_;
    run_ = row_bytes_;
  }

  const uint8_t* at_;
  uint64_t run_;
  uint64_t row_bytes_;
  int64_t gap_bytes_;
};

}  // namespace cairn::gpu
