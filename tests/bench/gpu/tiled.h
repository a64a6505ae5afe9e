// Buffers of the benchmark as tiles, with the plan of their digests.
#pragma once

#include "gpu/digest_plan.h"
#include "tests/bench/gpu/operation.h"

namespace cairn::gpu {

/// The tiles that cover a buffer.
std::vector<Tile> chunk_tiles(uint8_t* data, uint64_t bytes, uint64_t chunk_bytes);
/// 512 columns each of a matrix of BF16 with 8192, of so many bytes where it has rows enough.
std::vector<Tile> column_tiles(uint8_t* data, uint64_t bytes, uint64_t tile_bytes);

struct Tiled {
  std::vector<Tile> tiles;
  DigestPlan plan;
  DeviceMemory image;
};

/// Each buffer. Errors: as DeviceMemory::allocate().
Result<std::vector<Tiled>> tiled(const BenchData& data, decltype(&chunk_tiles) tiles_of,
                                 uint64_t tile_bytes);

/// Of all, or of about `count` of them spread over all, the last among them.
std::vector<uint64_t> sample_of(uint64_t all, uint64_t count);

}  // namespace cairn::gpu
