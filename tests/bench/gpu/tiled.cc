#include "tests/bench/gpu/tiled.h"

#include <algorithm>

namespace cairn::gpu {

std::vector<Tile> chunk_tiles(uint8_t* data, uint64_t bytes, uint64_t chunk_bytes) {
  std::vector<Tile> tiles;
  for (uint64_t at = 0; at + chunk_bytes <= bytes; at += chunk_bytes) {
    tiles.push_back({data + at, chunk_bytes});
  }
  return tiles;
}

std::vector<Tile> column_tiles(uint8_t* data, uint64_t bytes, uint64_t tile_bytes) {
  static constexpr uint64_t kElement = 2, kRowBytes = 512 * kElement, kStride = 8192 * kElement;
  const uint64_t rows_of_tile = std::min(tile_bytes / kRowBytes, bytes / kStride);
  std::vector<Tile> tiles;
  for (uint64_t row = 0; (row + rows_of_tile) * kStride <= bytes; row += rows_of_tile) {
    for (uint64_t column = 0; column < kStride; column += kRowBytes) {
      tiles.push_back({data + row * kStride + column, kRowBytes, kStride, rows_of_tile});
    }
  }
  return tiles;
}

Result<std::vector<Tiled>> tiled(const BenchData& data, decltype(&chunk_tiles) tiles_of,
                                 uint64_t tile_bytes) {
  std::vector<Tiled> all;
  for (const DeviceMemory& buffer : data.buffers) {
    Tiled one;
    one.tiles = tiles_of(buffer.data(), data.buffer_bytes, tile_bytes);
    CAIRN_TRY(one.plan, DigestPlan::make(one.tiles));
    CAIRN_TRY(one.image, DeviceMemory::allocate(one.plan.image().size()));
    CAIRN_CHECK(copy_up({}, one.image.data(), one.plan.image()));
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<uint64_t> sample_of(uint64_t all, uint64_t count) {
  std::vector<uint64_t> sample;
  for (uint64_t i = 0; i < all; i += std::max<uint64_t>(1, all / count)) sample.push_back(i);
  if (all > 0) sample.push_back(all - 1);
  return sample;
}

}  // namespace cairn::gpu
