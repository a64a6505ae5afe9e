#include "gpu/gather.h"

#include <algorithm>

#include "gpu/dirty_set.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/search.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

namespace {

/// What one warp copies before it looks for more: enough that finding the chunk costs little.
constexpr uint64_t kUnitBytes = 8 << 10;
/// Vectors that each lane loads before it stores the first.
constexpr unsigned kInFlight = 4;

/// The window of a slab that a call fills.
struct Window {
  uint64_t begin, end;
  uint8_t* data;  ///< of `begin`
};

/// Copies `bytes` of a tile's content from `offset` on, both multiples of 16 but for the content's
/// end, which zeros follow.
CAIRN_DEVICE void copy_content(const Tile& tile, uint64_t offset, uint64_t bytes, uint8_t* to) {
  auto* out = reinterpret_cast<uint4*>(to);
  const uint64_t whole = bytes / 16;
  uint64_t vector = lane_number();
  if (has_plain_vectors(tile)) {
    for (; vector + (kInFlight - 1) * kWarp < whole; vector += kInFlight * kWarp) {
      uint4 values[kInFlight];
      for (unsigned i = 0; i < kInFlight; ++i) {
        values[i] = load_vector(plain_vector_at(tile, offset + 16 * (vector + i * kWarp)));
      }
      for (unsigned i = 0; i < kInFlight; ++i) out[vector + i * kWarp] = values[i];
    }
  }
  for (; vector * 16 < bytes; vector += kWarp) {
    const uint64_t left = bytes - vector * 16;
    TileCursor cursor(tile, offset + 16 * vector);
    out[vector] = cursor.take(left < 16 ? static_cast<unsigned>(left) : 16u);
  }
}

__global__ void __launch_bounds__(1024)
    gather_dirty(const Tile* tiles, DirtySet set, Window window) {
  const DirtyHead head = *set.head;
  const DirtyChunk* const chunks = set.chunks;
  const uint64_t end = head.bytes < window.end ? head.bytes : window.end;
  for (uint64_t at = window.begin + first_warp() * kUnitBytes; at < end;
       at += all_warps() * kUnitBytes) {
    const uint64_t unit_end = at + kUnitBytes < end ? at + kUnitBytes : end;
    uint64_t number =
        find_range_by(head.count, at, [chunks](uint64_t i) { return chunks[i].offset; });
    for (uint64_t place = at; place < unit_end; ++number) {
      const DirtyChunk dirty = chunks[number];
      const Tile tile = tiles[dirty.chunk];
      const uint64_t content = tile.row_bytes * tile.rows;
      const uint64_t chunk_end = dirty.offset + slab_bytes(content);
      const uint64_t offset = place - dirty.offset;
      const uint64_t stop = chunk_end < unit_end ? chunk_end : unit_end;
      const uint64_t left = content - offset, room = stop - place;
      copy_content(tile, offset, left < room ? left : room, window.data + (place - window.begin));
      place = stop;
    }
  }
}

}  // namespace

Status gather(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan set,
              uint64_t begin, DeviceSpan slab, Share share) {
  CAIRN_CHECK(check_room("the image of a digest plan", image, plan.layout().bytes()));
  CAIRN_CHECK(check_room("the set of dirty chunks", set, dirty_set_bytes(plan.tiles())));
  CAIRN_CHECK(check_room("the slab", slab, 0));
  CAIRN_CHECK(check_multiple("the beginning of a window of a slab", begin, kSlabAlignment));
  CAIRN_CHECK(check_multiple("the bytes of a window of a slab", slab.bytes, kSlabAlignment));
  if (plan.tiles() == 0 || slab.bytes == 0 || begin >= plan.slab_bytes_most()) return {};
  // How much there is, only the device knows: a grid for all that could be.
  const uint64_t bytes = std::min(slab.bytes, plan.slab_bytes_most() - begin);
  const uint64_t units = ceil_div(bytes, kUnitBytes);
  return launch(stream, shape_for(units * kWarp, share), "gather_dirty", gather_dirty,
                reinterpret_cast<const Tile*>(image.data + plan.layout().tiles_at()),
                dirty_set(set.data, plan.tiles()), Window{begin, begin + bytes, slab.data});
}

}  // namespace cairn::gpu
