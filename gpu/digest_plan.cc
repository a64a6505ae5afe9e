#include "gpu/digest_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest_kernel.h"
#include "gpu/dirty_set.h"

namespace cairn::gpu {

static void add_kinds(const Tile& tile, LeafKinds& kinds) {
  const bool is_one = tile.rows == 1;
  // Rows that are no whole leaves have leaves that cross them.
  if (!is_one && tile.row_bytes % kDigestLeafBytes != 0) kinds.other = true;
  const auto places = reinterpret_cast<uintptr_t>(tile.data) |
                      (is_one ? 0 : static_cast<uint64_t>(tile.stride_bytes) | tile.row_bytes);
  if (places % 4 != 0) {
    kinds.other = true;
  } else if (places % 16 != 0) {
    kinds.words = true;
  } else {
    kinds.plain = kinds.plain || tile.row_bytes >= kDigestLeafBytes;
    kinds.words = kinds.words || tile.row_bytes % kDigestLeafBytes != 0 || tile.row_bytes == 0;
  }
}

static unsigned joins_of(uint64_t leaves) {
  unsigned joins = 0;
  while (nodes_of(leaves, joins) > 1) ++joins;
  return joins;
}

static tl::unexpected<Error> too_many_bytes(uint64_t tiles) {
  return fail(Code::kUsage,
              fmt::format("{} tiles are more bytes than one plan takes: 2^50", tiles));
}

Result<DigestPlan> DigestPlan::make(std::span<const Tile> tiles) {
  DigestPlan plan;
  plan.layout_.capacity = tiles.size();
  const DigestHead head{tiles.size(), 0};
  append_bytes(plan.image_, as_bytes(&head, sizeof head));
  Bytes leaves_before;
  uint64_t most_leaves = 1;
  for (size_t i = 0; i < tiles.size(); ++i) {
    const auto tile = merged_rows(tiles[i]);
    if (!tile) return tl::unexpected(with_context(tile.error(), fmt::format("in tile {}", i)));
    const uint64_t bytes = tile->row_bytes * tile->rows, leaves = leaves_of(bytes);
    if (bytes > 0 && tile->data == nullptr) {
      return fail(Code::kUsage, fmt::format("tile {} of {} bytes has no memory", i, bytes));
    }
    plan.bytes_ += bytes;
    if (plan.bytes_ > kTileBytesMost) return too_many_bytes(tiles.size());
    plan.slab_bytes_ += slab_bytes(bytes);
    add_kinds(*tile, plan.kinds_);
    append_bytes(plan.image_, as_bytes(&*tile, sizeof *tile));
    append_le(leaves_before, plan.leaves_);
    plan.leaves_ += leaves;
    most_leaves = std::max(most_leaves, leaves);
  }
  append_le(leaves_before, plan.leaves_);
  append_bytes(plan.image_, leaves_before);
  plan.joins_ = joins_of(most_leaves);
  return plan;
}

Result<DigestPlan> DigestPlan::make_for(uint64_t tiles, uint64_t tile_bytes, uint64_t bytes,
                                        LeafKinds kinds) {
  if (bytes > kTileBytesMost || tile_bytes > kTileBytesMost || tiles > kTileBytesMost) {
    return too_many_bytes(tiles);
  }
  DigestPlan plan;
  plan.layout_.capacity = tiles;
  plan.bytes_ = bytes;
  plan.slab_bytes_ = bytes + kSlabAlignment * tiles;
  plan.leaves_ = bytes / kDigestLeafBytes + tiles;
  plan.joins_ = joins_of(leaves_of(tile_bytes));
  plan.kinds_ = kinds;
  return plan;
}

uint64_t DigestPlan::workspace_bytes() const {
  return kDigestValueBytes * (leaves_ + first_node(tiles(), leaves_, 1));
}

}  // namespace cairn::gpu
