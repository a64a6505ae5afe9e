#include <fmt/format.h>

#include <algorithm>

#include "base/digest_kernel.h"
#include "gpu/digest_plan.h"
#include "gpu/dirty_set.h"

namespace cairn::gpu {

static constexpr uint64_t kBytesMost = uint64_t{1} << 50;

static Result<uint64_t> content_bytes(const Tile& tile, size_t number) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(tile.row_bytes, tile.rows, &bytes) || bytes > kBytesMost) {
    return fail(Code::kUsage,
                fmt::format("tile {} of {} rows of {} bytes is larger than a digest can be of",
                            number, tile.rows, tile.row_bytes));
  }
  return bytes;
}

/// Rows without gaps are one row.
static Tile merged_rows(const Tile& tile, uint64_t bytes) {
  const bool is_one =
      tile.rows <= 1 || bytes == 0 || tile.stride_bytes == static_cast<int64_t>(tile.row_bytes);
  return is_one ? Tile{tile.data, bytes, 0, 1} : tile;
}

/// Whether all leaves are whole, in one piece and at multiples of 16.
static bool is_plain(const Tile& tile) {
  const auto address = reinterpret_cast<uintptr_t>(tile.data);
  return tile.row_bytes > 0 && tile.row_bytes % kDigestLeafBytes == 0 && address % 16 == 0 &&
         tile.stride_bytes % 16 == 0;
}

static tl::unexpected<Error> too_many_bytes(uint64_t tiles) {
  return fail(Code::kUsage,
              fmt::format("{} tiles are more bytes than one plan takes: 2^50", tiles));
}

Result<DigestPlan> DigestPlan::make(std::span<const Tile> tiles) {
  DigestPlan plan;
  plan.layout_.capacity = tiles.size();
  std::vector<uint64_t> sizes;
  append_le<uint64_t>(plan.image_, tiles.size());
  plan.image_.resize(plan.layout_.tiles_at());
  for (size_t i = 0; i < tiles.size(); ++i) {
    CAIRN_TRY(const uint64_t bytes, content_bytes(tiles[i], i));
    plan.bytes_ += bytes;
    if (plan.bytes_ > kBytesMost) return too_many_bytes(tiles.size());
    plan.slab_bytes_ += slab_bytes(bytes);
    sizes.push_back(bytes);
    const Tile merged = merged_rows(tiles[i], bytes);
    plan.is_plain_ = plan.is_plain_ && is_plain(merged);
    append_bytes(plan.image_, as_bytes(&merged, sizeof merged));
  }
  const uint64_t largest = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
  while (digest_nodes(largest, plan.layout_.joins) > 1) ++plan.layout_.joins;
  for (unsigned level = 0; level <= plan.layout_.joins; ++level) {
    uint64_t begin = 0;
    for (const uint64_t bytes : sizes) {
      append_le(plan.image_, begin);
      begin += digest_nodes(bytes, level);
    }
    append_le(plan.image_, begin);
    plan.nodes_[level] = begin;
  }
  return plan;
}

Result<DigestPlan> DigestPlan::make_for(uint64_t tiles, uint64_t tile_bytes, uint64_t bytes) {
  if (bytes > kBytesMost || tile_bytes > kBytesMost || tiles > kBytesMost) {
    return too_many_bytes(tiles);
  }
  DigestPlan plan;
  plan.layout_.capacity = tiles;
  plan.bytes_ = bytes;
  plan.slab_bytes_ = bytes + kSlabAlignment * tiles;
  plan.is_plain_ = false;
  while (digest_nodes(tile_bytes, plan.layout_.joins) > 1) ++plan.layout_.joins;
  plan.nodes_[0] = bytes / kDigestLeafBytes + tiles;
  for (unsigned level = 1; level <= plan.layout_.joins; ++level) {
    plan.nodes_[level] = plan.nodes_[level - 1] / kNodesJoined + tiles;
  }
  return plan;
}

uint64_t DigestPlan::workspace_bytes() const { return kDigestValueBytes * (nodes_[0] + nodes_[1]); }

}  // namespace cairn::gpu
