// BLAKE3 of many tiles at a time, in device memory, where they lie.
//
// A plan is made once for tiles that stay where they are (the tensors of a training run), its image
// is copied to the device, and every digest() after that enqueues a few kernels and nothing else:
//   1. leaves: a thread for each KiB of each tile (one leaf of its tree); its value goes to the
//      workspace. Leaves that lie otherwise in memory go to kernels of their own.
//   2. joins: a thread for each 16 nodes of a tile, until one is left; that one is the digest.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "gpu/device.h"
#include "gpu/tile.h"

namespace cairn::gpu {

/// Nodes that one thread joins: enough threads are left on each level, and there are few levels.
inline constexpr unsigned kNodesJoined = 16;
inline constexpr unsigned kNodesJoinedLog = 4;
/// Levels of joins: 16^10 leaves are 2^50 bytes.
inline constexpr unsigned kJoinsMost = 10;

/// Leaves of 1 KiB; an empty content has one too.
constexpr uint64_t leaves_of(uint64_t bytes) { return bytes <= 1024 ? 1 : (bytes + 1023) / 1024; }
/// Nodes of a tree of so many leaves after so many joins.
constexpr uint64_t nodes_of(uint64_t leaves, unsigned joins) {
  return ((leaves - 1) >> (kNodesJoinedLog * joins)) + 1;
}
/// Where the nodes of tile number `tile` begin on a level, from the leaves of all tiles before it:
/// exact for leaves, with at most one place too many for each tile above them.
constexpr uint64_t first_node(uint64_t tile, uint64_t leaves_before, unsigned joins) {
  return joins == 0 ? leaves_before : (leaves_before >> (kNodesJoinedLog * joins)) + tile;
}

/// Which kinds of leaves tiles have, by how they lie in memory, the fastest to hash first. The last
/// one said may take in leaves of those before it that are not said.
struct LeafKinds {
  bool plain = false;  ///< whole, in one piece, at a multiple of 16
  bool words = false;  ///< in one piece, at a multiple of 4, of any length
  bool other = false;  ///< across rows, or at odd places
};

/// Where the parts of an image lie: the head; the tiles; how many leaves are before each, and in
/// all.
struct DigestImage {
  uint64_t capacity = 0;  ///< tiles there is room for

  uint64_t tiles_at() const { return 16; }
  uint64_t leaves_at() const { return tiles_at() + sizeof(Tile) * capacity; }
  uint64_t bytes() const { return leaves_at() + sizeof(uint64_t) * (capacity + 1); }
};
/// What the image says first: how many tiles it has, which a kernel may have made.
struct DigestHead {
  uint64_t tiles = 0;
  uint64_t status = 0;  ///< of whoever made them
};

/// Threads: any, once made.
class DigestPlan {
 public:
  /// Errors: kUsage, naming the tile, for more than kTileBytesMost.
  static Result<DigestPlan> make(std::span<const Tile> tiles);
  /// For tiles that the device makes (gpu/chunker_plan.h): at most `tiles` of at most `tile_bytes`
  /// each and `bytes` together, contiguous, with leaves of these kinds. It has no image.
  /// Errors: as make().
  static Result<DigestPlan> make_for(uint64_t tiles, uint64_t tile_bytes, uint64_t bytes,
                                     LeafKinds kinds);

  /// Of plans for tiles that the device makes: most that it may make.
  uint64_t tiles() const { return layout_.capacity; }
  uint64_t bytes() const { return bytes_; }                 ///< of all tiles
  uint64_t slab_bytes_most() const { return slab_bytes_; }  ///< of a slab of all (gpu/dirty.h)
  /// What the device must know. To be copied there, to an address that is a multiple of 16.
  ByteSpan image() const { return image_; }
  const DigestImage& layout() const { return layout_; }
  uint64_t workspace_bytes() const;

 private:
  friend Status digest(Stream stream, const DigestPlan& plan, DeviceSpan image,
                       DeviceSpan workspace, DeviceSpan out, Share share);

  DigestImage layout_;
  uint64_t bytes_ = 0, slab_bytes_ = 0;
  uint64_t leaves_ = 0;  ///< at most
  unsigned joins_ = 0;
  LeafKinds kinds_;
  Bytes image_;
};

/// out[i] = the 32 bytes of the digest of tile i's content, equal to blake3_rows(). Tiles do not
/// change until it is done. `workspace` is free again for what is enqueued after it.
/// Errors: kUsage when a span is too small or not aligned to 16 bytes; kFailed.
Status digest(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan workspace,
              DeviceSpan out, Share share = {});

}  // namespace cairn::gpu
