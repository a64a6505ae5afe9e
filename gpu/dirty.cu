#include "gpu/dirty.h"

#include "base/digest_kernel.h"
#include "gpu/dirty_set.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/scan.h"

namespace cairn::gpu {

namespace {

struct DigestedTiles {
  const DigestHead* head;
  const Tile* tiles;
  const uint4* digests;
  const uint4* previous;  ///< or none
  uint64_t capacity;

  CAIRN_DEVICE bool is_dirty(uint64_t chunk) const {
    if (chunk >= head->tiles) return false;
    if (previous == nullptr) return true;
    unsigned difference = 0;
    for (unsigned half = 0; half < 2; ++half) {
      const uint4 now = digests[2 * chunk + half], before = previous[2 * chunk + half];
      difference |=
          (now.x ^ before.x) | (now.y ^ before.y) | (now.z ^ before.z) | (now.w ^ before.w);
    }
    return difference != 0;
  }
  CAIRN_DEVICE uint64_t slab_bytes_of(uint64_t chunk) const {
    return slab_bytes(tiles[chunk].row_bytes * tiles[chunk].rows);
  }
};

struct CountMemory {
  BlockSumMemory<unsigned> counts;
  BlockSumMemory<uint64_t> bytes;
};

/// The chunk's place among the dirty ones of its group, for all threads of a block together.
struct PlaceInGroup {
  BlockSum<unsigned> counts;
  BlockSum<uint64_t> bytes;
};
CAIRN_DEVICE PlaceInGroup place_in_group(const DigestedTiles& tiles, uint64_t chunk, bool is_dirty,
                                         CountMemory& memory) {
  const auto counts = block_sum<unsigned>(is_dirty ? 1 : 0, memory.counts);
  return {counts, block_sum<uint64_t>(is_dirty ? tiles.slab_bytes_of(chunk) : 0, memory.bytes)};
}

/// A bit for each chunk whose digest is another than before; how many a group has.
__global__ void __launch_bounds__(kDirtyGroup) mark_dirty(DigestedTiles tiles, DirtySet set) {
  auto& memory = shared<CountMemory>();
  for (uint64_t group = blockIdx.x; group < dirty_groups(tiles.capacity); group += gridDim.x) {
    const uint64_t chunk = group * kDirtyGroup + threadIdx.x;
    const bool is_dirty = tiles.is_dirty(chunk);
    const unsigned word = __ballot_sync(kWholeWarp, is_dirty);
    if (lane_number() == 0 && chunk < tiles.capacity) set.words[chunk / 32] = word;
    const PlaceInGroup place = place_in_group(tiles, chunk, is_dirty, memory);
    if (threadIdx.x == 0) set.groups[group] = {place.counts.total, place.bytes.total};
    __syncthreads();
  }
}

/// What all groups before each have; by one block.
__global__ void __launch_bounds__(kDirtyGroup) place_dirty(uint64_t groups, DirtySet set) {
  auto& memory = shared<CountMemory>();
  DirtyHead before;
  for (uint64_t first = 0; first < groups; first += kDirtyGroup) {
    const uint64_t group = first + threadIdx.x;
    const DirtyHead own = group < groups ? set.groups[group] : DirtyHead{};
    const auto counts = block_sum(static_cast<unsigned>(own.count), memory.counts);
    const auto bytes = block_sum(own.bytes, memory.bytes);
    if (group < groups)
      set.groups[group] = {before.count + counts.before, before.bytes + bytes.before};
    before.count += counts.total;
    before.bytes += bytes.total;
    __syncthreads();
  }
  if (threadIdx.x == 0) *set.head = before;
}

/// The marked chunks, in order, with their places.
__global__ void __launch_bounds__(kDirtyGroup) list_dirty(DigestedTiles tiles, DirtySet set) {
  auto& memory = shared<CountMemory>();
  for (uint64_t group = blockIdx.x; group < dirty_groups(tiles.capacity); group += gridDim.x) {
    const uint64_t chunk = group * kDirtyGroup + threadIdx.x;
    const bool is_dirty = chunk < tiles.capacity && (set.words[chunk / 32] >> chunk % 32 & 1) != 0;
    const PlaceInGroup place = place_in_group(tiles, chunk, is_dirty, memory);
    const DirtyHead before = set.groups[group];
    if (is_dirty) {
      set.chunks[before.count + place.counts.before] = {chunk, before.bytes + place.bytes.before};
    }
    __syncthreads();
  }
}

}  // namespace

Status find_dirty(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan digests,
                  DeviceSpan previous, DeviceSpan set, Share share) {
  const uint64_t chunks = plan.tiles();
  CAIRN_CHECK(check_room("the image of a digest plan", image, plan.layout().bytes()));
  CAIRN_CHECK(check_room("the digests", digests, kDigestValueBytes * chunks));
  if (previous.bytes != 0) {
    CAIRN_CHECK(check_room("the digests of before", previous, kDigestValueBytes * chunks));
  }
  CAIRN_CHECK(check_room("the set of dirty chunks", set, dirty_set_bytes(chunks)));
  if (chunks == 0) return fill_zeros(stream, set.data, sizeof(DirtyHead));
  const DigestedTiles tiles{
      reinterpret_cast<const DigestHead*>(image.data),
      reinterpret_cast<const Tile*>(image.data + plan.layout().tiles_at()),
      reinterpret_cast<const uint4*>(digests.data),
      previous.bytes == 0 ? nullptr : reinterpret_cast<const uint4*>(previous.data), chunks};
  const DirtySet marks = dirty_set(set.data, chunks);
  const Shape shape = shape_of_blocks(dirty_groups(chunks), kDirtyGroup, share);
  CAIRN_CHECK(launch(stream, shape, "mark_dirty", mark_dirty, tiles, marks));
  CAIRN_CHECK(
      launch(stream, {1, kDirtyGroup}, "place_dirty", place_dirty, dirty_groups(chunks), marks));
  return launch(stream, shape, "list_dirty", list_dirty, tiles, marks);
}

}  // namespace cairn::gpu
