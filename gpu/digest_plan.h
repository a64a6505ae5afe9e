// BLAKE3 of many tiles at a time, in device memory, where they lie.
//
// A plan is made once for tiles that stay where they are (the tensors of a training run), its image
// is copied to the device, and every digest() after that enqueues a few kernels and nothing else:
//   1. leaves: a thread for each KiB of each tile (one leaf of its tree); its value goes to the
//      workspace. A second kernel does those that are not whole, in one piece and aligned.
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
/// Levels of joins: 16^10 leaves are 2^50 bytes.
inline constexpr unsigned kJoinsMost = 10;

/// The nodes of a tile on a level of its tree: leaves of 1 KiB (at least one), then what joins
/// leave. None on the levels above its root.
constexpr uint64_t digest_nodes(uint64_t bytes, unsigned level) {
  uint64_t nodes = bytes <= 1024 ? 1 : (bytes + 1023) / 1024;
  for (; level > 0; --level) nodes = nodes > 1 ? (nodes + kNodesJoined - 1) / kNodesJoined : 0;
  return nodes;
}

/// Where the parts of an image lie: a count of tiles; the tiles; then for each level where the
/// nodes of each tile begin, and how many there are in all.
struct DigestImage {
  uint64_t capacity = 0;  ///< tiles there is room for
  unsigned joins = 0;

  uint64_t tiles_at() const { return 16; }
  uint64_t level_at(unsigned level) const {
    return tiles_at() + sizeof(Tile) * capacity + sizeof(uint64_t) * level * (capacity + 1);
  }
  uint64_t bytes() const { return level_at(joins + 1); }
};

/// Threads: any, once made.
class DigestPlan {
 public:
  /// Errors: kUsage for tiles whose bytes do not fit in 2^50 all together.
  static Result<DigestPlan> make(std::span<const Tile> tiles);
  /// For tiles that the device makes (gpu/chunker_plan.h): at most `tiles` of at most `tile_bytes`
  /// each and `bytes` together, each contiguous. It has no image. Errors: as make().
  static Result<DigestPlan> make_for(uint64_t tiles, uint64_t tile_bytes, uint64_t bytes);

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
  bool is_plain_ = true;  ///< all leaves are whole, in one piece and at multiples of 16
  std::array<uint64_t, kJoinsMost + 1> nodes_{};  ///< most: leaves, then of each join
  Bytes image_;
};

/// out[i] = the 32 bytes of the digest of tile i's content, equal to blake3_rows(). Tiles do not
/// change until it is done. `workspace` is free again for what is enqueued after it.
/// Errors: kUsage when a span is too small or not aligned to 16 bytes; kFailed.
Status digest(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan workspace,
              DeviceSpan out, Share share = {});

}  // namespace cairn::gpu
