// Puts contents from a slab where tensors have them: rows of any stride, another dtype if that is
// wanted.
#pragma once

#include <span>

#include "gpu/device.h"
#include "gpu/element.h"
#include "gpu/tile.h"

namespace cairn::gpu {

/// Elements that lie back to back in the slab, and the tile that they become.
struct ScatterPiece {
  uint64_t slab_offset = 0;  ///< a multiple of 16
  Tile to;                   ///< of no stride below its row_bytes; `as` fills it exactly
  Element from = Element::kBytes, as = Element::kBytes;
};

/// Threads: any, once made.
class ScatterPlan {
 public:
  /// Errors: kUsage, naming the piece, when it is not as above, or is to become a dtype that is
  /// not made here (8-bit floats).
  static Result<ScatterPlan> make(std::span<const ScatterPiece> pieces);

  /// What the device must know. To be copied there, to an address that is a multiple of 16.
  ByteSpan image() const { return image_; }
  /// Of the slab, up to the end of the last piece in it.
  uint64_t slab_bytes() const { return slab_bytes_; }

 private:
  friend Status scatter(Stream stream, const ScatterPlan& plan, DeviceSpan image, DeviceSpan slab,
                        Share share);

  uint64_t pieces_ = 0, units_ = 0, slab_bytes_ = 0;
  Bytes image_;  ///< the pieces, then where the units of each begin
};

/// Errors: kUsage when a span is too small or not aligned to 16 bytes; kFailed.
/// REQUIRES: tiles that do not overlap.
Status scatter(Stream stream, const ScatterPlan& plan, DeviceSpan image, DeviceSpan slab,
               Share share = {});

/// Vectors of 16 bytes of a tile that a warp makes before it looks for more.
inline constexpr uint64_t kScatterVectors = 512;

}  // namespace cairn::gpu
