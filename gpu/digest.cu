#include "gpu/blake3.h"
#include "gpu/digest_plan.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/leaf.h"
#include "gpu/search.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

namespace {

/// What kernels know of a plan.
struct Trees {
  const DigestHead* head;
  const Tile* tiles;
  const uint64_t* leaves_before;
  uint8_t* digests;

  CAIRN_DEVICE uint64_t leaves_of_tile(uint64_t tile) const {
    return leaves_before[tile + 1] - leaves_before[tile];
  }
  CAIRN_DEVICE uint8_t* digest_of(uint64_t tile) const {
    return digests + kDigestValueBytes * tile;
  }
};

/// One bit each.
enum LeafKind : unsigned { kPlainLeaf = 1, kWordLeaf = 2, kOtherLeaf = 4 };

/// The leaves of some kinds, as the slowest of them asks for: apart, each kernel has registers
/// enough.
template <LeafKind kSlowest>
__global__ void __launch_bounds__(1024) hash_leaves(Trees trees, uint8_t* values, unsigned kinds) {
  const uint64_t count = trees.head->tiles, nodes = count == 0 ? 0 : trees.leaves_before[count];
  for (uint64_t node = first_thread(); node < nodes; node += all_threads()) {
    const uint64_t number = find_range(trees.leaves_before, count, node);
    const Tile& tile = trees.tiles[number];
    const uint64_t leaf_number = node - trees.leaves_before[number];
    const uint64_t offset = leaf_number * kDigestLeafBytes;
    const uint64_t left = tile.row_bytes * tile.rows - offset;
    const bool is_root = trees.leaves_of_tile(number) == 1;
    const Leaf leaf{leaf_number,
                    static_cast<unsigned>(left < kDigestLeafBytes ? left : kDigestLeafBytes),
                    is_root ? kDigestRoot : 0u};
    const TileCursor cursor(tile, offset);
    const auto address = reinterpret_cast<uintptr_t>(cursor.here());
    LeafKind kind = kOtherLeaf;
    if (cursor.run() >= leaf.bytes && address % 4 == 0) {
      kind = leaf.bytes == kDigestLeafBytes && address % 16 == 0 ? kPlainLeaf : kWordLeaf;
    }
    if ((kind & kinds) == 0) continue;
    NodeValue value;
    if constexpr (kSlowest == kPlainLeaf) value = plain_leaf_value(cursor.here(), leaf);
    if constexpr (kSlowest == kWordLeaf) value = word_leaf_value(cursor.here(), leaf);
    if constexpr (kSlowest == kOtherLeaf) value = other_leaf_value(cursor, leaf);
    store_value(value, is_root ? trees.digest_of(number) : values + kDigestValueBytes * node);
  }
}

CAIRN_DEVICE NodeValue parent_value(const uint8_t* children, unsigned flags) {
  const auto* quads = reinterpret_cast<const uint4*>(children);
  unsigned words[16];
  for (unsigned quad = 0; quad < 4; ++quad) set_words(words, quad, quads[quad]);
  NodeValue value = start_value();
  compress(value, words, 0, kDigestBlockBytes, kDigestParent | flags);
  return value;
}

/// Joins up to kNodesJoined nodes, pair by pair and level by level, where their values lie; returns
/// how many are left, one or two.
CAIRN_DEVICE unsigned join_to_pair(uint8_t* values, unsigned count) {
#pragma unroll 1
  while (count > 2) {
#pragma unroll 1
    for (unsigned pair = 0; pair < count / 2; ++pair) {
      store_value(parent_value(values + 2 * kDigestValueBytes * pair, 0),
                  values + kDigestValueBytes * pair);
    }
    if (count % 2 == 1) {  // the last one waits for the next level
      copy_value(values + kDigestValueBytes * (count - 1),
                 values + kDigestValueBytes * (count / 2));
    }
    count = (count + 1) / 2;
  }
  return count;
}

/// The nodes after `join` joins. REQUIRES: join > 0.
__global__ void __launch_bounds__(1024)
    join_nodes(Trees trees, unsigned join, uint8_t* from, uint8_t* to) {
  const uint64_t count = trees.head->tiles;
  const auto begin = [&](uint64_t tile) {
    return first_node(tile, trees.leaves_before[tile], join);
  };
  const uint64_t nodes = count == 0 ? 0 : begin(count);
  for (uint64_t node = first_thread(); node < nodes; node += all_threads()) {
    const uint64_t number = find_range_by(count, node, begin);
    const uint64_t leaves = trees.leaves_of_tile(number);
    const uint64_t before = nodes_of(leaves, join - 1), group = node - begin(number);
    // A tile has fewer nodes than places, or had its digest before.
    if (before == 1 || group * kNodesJoined >= before) continue;
    const uint64_t left = before - group * kNodesJoined;
    uint8_t* values =
        from + kDigestValueBytes * (first_node(number, trees.leaves_before[number], join - 1) +
                                    group * kNodesJoined);
    const bool is_root = before <= kNodesJoined;
    uint8_t* out = is_root ? trees.digest_of(number) : to + kDigestValueBytes * node;
    if (join_to_pair(values, left < kNodesJoined ? static_cast<unsigned>(left) : kNodesJoined) ==
        2) {
      store_value(parent_value(values, is_root ? kDigestRoot : 0u), out);
    } else {
      copy_value(values, out);
    }
  }
}

}  // namespace

Status digest(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan workspace,
              DeviceSpan out, Share share) {
  const DigestImage& layout = plan.layout_;
  if (layout.capacity == 0) return {};
  CAIRN_CHECK(check_room("the image of a digest plan", image, layout.bytes()));
  CAIRN_CHECK(check_room("the workspace of a digest", workspace, plan.workspace_bytes()));
  CAIRN_CHECK(check_room("the digests", out, kDigestValueBytes * layout.capacity));
  const Trees trees{reinterpret_cast<const DigestHead*>(image.data),
                    reinterpret_cast<const Tile*>(image.data + layout.tiles_at()),
                    reinterpret_cast<const uint64_t*>(image.data + layout.leaves_at()), out.data};
  // Values of a level are read by the next join alone, so two places take turns.
  uint8_t* const places[2] = {workspace.data, workspace.data + kDigestValueBytes * plan.leaves_};
  const Shape shape = shape_for(plan.leaves_, share);
  unsigned left = kPlainLeaf | kWordLeaf | kOtherLeaf;
  if (plan.kinds_.plain) {
    CAIRN_CHECK(launch(stream, shape, "hash_leaves (plain)", hash_leaves<kPlainLeaf>, trees,
                       places[0], kPlainLeaf));
    left &= ~kPlainLeaf;
  }
  if (plan.kinds_.words) {
    CAIRN_CHECK(launch(stream, shape, "hash_leaves (words)", hash_leaves<kWordLeaf>, trees,
                       places[0], left & (kPlainLeaf | kWordLeaf)));
    left = kOtherLeaf;
  }
  if (plan.kinds_.other) {
    CAIRN_CHECK(launch(stream, shape, "hash_leaves (other)", hash_leaves<kOtherLeaf>, trees,
                       places[0], left));
  }
  for (unsigned join = 1; join <= plan.joins_; ++join) {
    const uint64_t nodes = first_node(layout.capacity, plan.leaves_, join);
    CAIRN_CHECK(launch(stream, shape_for(nodes, share), "join_nodes", join_nodes, trees, join,
                       places[(join - 1) % 2], places[join % 2]));
  }
  return {};
}

}  // namespace cairn::gpu
