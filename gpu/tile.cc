#include "gpu/tile.h"

#include <fmt/format.h>

namespace cairn::gpu {

/// Whether the address of the last row's end can be told.
static bool has_extent(const Tile& tile) {
  if (tile.rows == 0 || tile.row_bytes == 0) return true;
  int64_t reach = 0;
  return tile.rows - 1 <= kTileBytesMost &&
         !__builtin_mul_overflow(tile.stride_bytes, static_cast<int64_t>(tile.rows - 1), &reach) &&
         reach <= static_cast<int64_t>(kTileBytesMost) &&
         reach >= -static_cast<int64_t>(kTileBytesMost);
}

Result<Tile> merged_rows(const Tile& tile) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(tile.row_bytes, tile.rows, &bytes) || bytes > kTileBytesMost ||
      !has_extent(tile)) {
    return fail(Code::kUsage, fmt::format("{} rows of {} bytes, {} apart, are more than 2^50 bytes",
                                          tile.rows, tile.row_bytes, tile.stride_bytes));
  }
  const bool is_one =
      tile.rows <= 1 || bytes == 0 || tile.stride_bytes == static_cast<int64_t>(tile.row_bytes);
  return is_one ? Tile{tile.data, bytes, 0, 1} : tile;
}

}  // namespace cairn::gpu
