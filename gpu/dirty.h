// Which chunks changed: digests of now beside those of before, in device memory.
//
// A set of dirty chunks is memory of the device, filled by one call and read by others without the
// host: a head, a bit for each chunk, and the dirty chunks in order with their places in a slab.
// The host needs the head and the bits alone, one small copy, for places follow from sizes.
#pragma once

#include <span>
#include <vector>

#include "gpu/device.h"
#include "gpu/digest_plan.h"

namespace cairn::gpu {

struct DirtyHead {
  uint64_t count = 0;  ///< of dirty chunks
  uint64_t bytes = 0;  ///< of the slab that holds them
};

/// A chunk and where its content begins in a slab: at a multiple of 16, right after the one before.
struct DirtyChunk {
  uint64_t chunk = 0;
  uint64_t offset = 0;

  bool operator==(const DirtyChunk&) const = default;
};

/// The bytes that a set of dirty ones among `chunks` takes.
uint64_t dirty_set_bytes(uint64_t chunks);
/// Those at its beginning that the host needs: the head and the bits.
uint64_t dirty_mark_bytes(uint64_t chunks);
/// What they say; DirtyHead at their beginning has the size of the slab. Errors: kCorrupt when
/// `marks` is no such memory.
Result<std::vector<DirtyChunk>> read_dirty(ByteSpan marks, std::span<const Tile> tiles);

/// Fills `set` with the tiles of `plan` whose digests (32 bytes each) are others than before.
/// Without `previous` (no bytes) all are. Errors: kUsage when a span is too small or not aligned to
/// 16 bytes; kFailed.
Status find_dirty(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan digests,
                  DeviceSpan previous, DeviceSpan set, Share share = {});

}  // namespace cairn::gpu
