#include "gpu/digest_plan.h"

#include "gpu/blake3.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

namespace {

/// What kernels know of a plan. How many tiles there are, the image tells: a kernel may have made
/// them.
struct Trees {
  const uint64_t* count;
  const Tile* tiles;
  uint8_t* digests;
};

/// Nodes of one level: those of tile i begin at first[i].
struct Level {
  const uint64_t* first;
  uint8_t* values;
};

CAIRN_DEVICE uint64_t first_thread() { return uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
CAIRN_DEVICE uint64_t all_threads() { return uint64_t{gridDim.x} * blockDim.x; }

struct Leaf {
  uint64_t number;  ///< in its tile
  unsigned bytes;
  unsigned last_flags;
};

/// One block of a leaf. REQUIRES: it is not the only one of an empty leaf, or words of zeros.
CAIRN_DEVICE void hash_block(NodeValue& value, const Leaf& leaf, unsigned block,
                             const uint4 (&quads)[4]) {
  unsigned words[16];
  for (unsigned quad = 0; quad < 4; ++quad) set_words(words, quad, quads[quad]);
  const unsigned offset = block * kDigestBlockBytes;
  const bool is_last = offset + kDigestBlockBytes >= leaf.bytes;
  const unsigned flags =
      (block == 0 ? kDigestLeafStart : 0u) | (is_last ? kDigestLeafEnd | leaf.last_flags : 0u);
  compress(value, words, leaf.number, is_last ? leaf.bytes - offset : kDigestBlockBytes, flags);
}

/// A whole leaf that lies in one piece, at a multiple of 16: each block is loaded while the one
/// before is hashed.
CAIRN_DEVICE NodeValue plain_leaf_value(const uint8_t* at, const Leaf& leaf) {
  static constexpr unsigned kBlocks = kDigestLeafBytes / kDigestBlockBytes;
  NodeValue value = start_value();
  uint4 next[4];
  for (unsigned quad = 0; quad < 4; ++quad) next[quad] = load_vector(at + 16 * quad);
#pragma unroll 1
  for (unsigned block = 0; block < kBlocks; ++block) {
    const uint4 quads[4] = {next[0], next[1], next[2], next[3]};
    if (block + 1 < kBlocks) {
      at += kDigestBlockBytes;
      for (unsigned quad = 0; quad < 4; ++quad) next[quad] = load_vector(at + 16 * quad);
    }
    hash_block(value, leaf, block, quads);
  }
  return value;
}

/// Any other leaf.
CAIRN_DEVICE NodeValue leaf_value(TileCursor cursor, const Leaf& leaf) {
  NodeValue value = start_value();
  unsigned block = 0;
#pragma unroll 1
  do {
    uint4 quads[4];
    for (unsigned quad = 0; quad < 4; ++quad) {
      const unsigned offset = block * kDigestBlockBytes + 16 * quad;
      const unsigned left = offset < leaf.bytes ? leaf.bytes - offset : 0;
      quads[quad] = left == 0 ? make_uint4(0, 0, 0, 0) : cursor.take(left < 16 ? left : 16);
    }
    hash_block(value, leaf, block, quads);
    ++block;
  } while (block * kDigestBlockBytes < leaf.bytes);
  return value;
}

/// Leaves that are plain, or those that are not: apart, each kernel has registers enough.
template <bool kPlain>
__global__ void __launch_bounds__(1024) hash_leaves(Trees trees, Level leaves) {
  const uint64_t count = *trees.count, nodes = leaves.first[count];
  for (uint64_t node = first_thread(); node < nodes; node += all_threads()) {
    const uint64_t number = find_range(leaves.first, count, node);
    const Tile& tile = trees.tiles[number];
    const uint64_t offset = (node - leaves.first[number]) * kDigestLeafBytes;
    const uint64_t left = tile.row_bytes * tile.rows - offset;
    const bool is_root = leaves.first[number + 1] - leaves.first[number] == 1;
    const Leaf leaf{node - leaves.first[number],
                    static_cast<unsigned>(left < kDigestLeafBytes ? left : kDigestLeafBytes),
                    is_root ? kDigestRoot : 0u};
    const TileCursor cursor(tile, offset);
    const bool is_plain = leaf.bytes == kDigestLeafBytes && cursor.run() >= kDigestLeafBytes &&
                          reinterpret_cast<uintptr_t>(cursor.here()) % 16 == 0;
    if (is_plain != kPlain) continue;
    NodeValue value;
    if constexpr (kPlain) {
      value = plain_leaf_value(cursor.here(), leaf);
    } else {
      value = leaf_value(cursor, leaf);
    }
    store_value(value, is_root ? trees.digests + kDigestValueBytes * number
                               : leaves.values + kDigestValueBytes * node);
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

/// Joins up to kNodesJoined nodes, pair by pair and level by level, where their values lie.
__global__ void __launch_bounds__(1024) join_nodes(Trees trees, Level from, Level to) {
  const uint64_t count = *trees.count, nodes = to.first[count];
  for (uint64_t node = first_thread(); node < nodes; node += all_threads()) {
    const uint64_t number = find_range(to.first, count, node);
    const uint64_t group = node - to.first[number];
    const uint64_t begin = from.first[number] + group * kNodesJoined;
    const uint64_t left = from.first[number + 1] - begin;
    unsigned nodes_left = left < kNodesJoined ? static_cast<unsigned>(left) : kNodesJoined;
    const bool is_root = to.first[number + 1] - to.first[number] == 1;
    uint8_t* out =
        is_root ? trees.digests + kDigestValueBytes * number : to.values + kDigestValueBytes * node;
    uint8_t* values = from.values + kDigestValueBytes * begin;
#pragma unroll 1
    while (nodes_left > 2) {
#pragma unroll 1
      for (unsigned pair = 0; pair < nodes_left / 2; ++pair) {
        store_value(parent_value(values + 2 * kDigestValueBytes * pair, 0),
                    values + kDigestValueBytes * pair);
      }
      if (nodes_left % 2 == 1) {  // the last one waits for the next level
        const auto* last =
            reinterpret_cast<const uint4*>(values + kDigestValueBytes * (nodes_left - 1));
        auto* place = reinterpret_cast<uint4*>(values + kDigestValueBytes * (nodes_left / 2));
        place[0] = last[0];
        place[1] = last[1];
      }
      nodes_left = (nodes_left + 1) / 2;
    }
    if (nodes_left == 2) {
      store_value(parent_value(values, is_root ? kDigestRoot : 0u), out);
    } else {  // a group of one node
      const auto* only = reinterpret_cast<const uint4*>(values);
      reinterpret_cast<uint4*>(out)[0] = only[0];
      reinterpret_cast<uint4*>(out)[1] = only[1];
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
  const Trees trees{reinterpret_cast<const uint64_t*>(image.data),
                    reinterpret_cast<const Tile*>(image.data + layout.tiles_at()), out.data};
  // Values of a level are read by the next join alone, so two places take turns.
  uint8_t* const places[2] = {workspace.data, workspace.data + kDigestValueBytes * plan.nodes_[0]};
  auto level = [&](unsigned number) {
    return Level{reinterpret_cast<const uint64_t*>(image.data + layout.level_at(number)),
                 places[number % 2]};
  };
  const Shape leaf_shape = shape_for(plan.nodes_[0], share);
  CAIRN_CHECK(launch(stream, leaf_shape, "hash_leaves", hash_leaves<true>, trees, level(0)));
  if (!plan.is_plain_) {
    CAIRN_CHECK(launch(stream, leaf_shape, "hash_leaves", hash_leaves<false>, trees, level(0)));
  }
  for (unsigned join = 1; join <= layout.joins; ++join) {
    CAIRN_CHECK(launch(stream, shape_for(plan.nodes_[join], share), "join_nodes", join_nodes, trees,
                       level(join - 1), level(join)));
  }
  return {};
}

}  // namespace cairn::gpu
