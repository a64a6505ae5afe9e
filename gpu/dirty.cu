#include "gpu/dirty.h"

#include "gpu/dirty_set.h"
#include "gpu/enqueue.h"
#include "gpu/kernel.h"
#include "gpu/scan.h"

namespace cairn::gpu {

namespace {

constexpr unsigned kListThreads = 1024;

/// A bit for each chunk whose digest is another than before.
__global__ void __launch_bounds__(256)
    mark_dirty(const uint4* digests, const uint4* previous, uint64_t chunks, unsigned* words) {
  const uint64_t chunk = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  bool is_dirty = chunk < chunks;
  if (is_dirty && previous != nullptr) {
    unsigned difference = 0;
    for (unsigned half = 0; half < 2; ++half) {
      const uint4 now = digests[2 * chunk + half], before = previous[2 * chunk + half];
      difference |=
          (now.x ^ before.x) | (now.y ^ before.y) | (now.z ^ before.z) | (now.w ^ before.w);
    }
    is_dirty = difference != 0;
  }
  const unsigned word = __ballot_sync(kWholeWarp, is_dirty);
  if (lane_number() == 0 && chunk < chunks) words[chunk / 32] = word;
}

struct ListMemory {
  BlockSumMemory<uint64_t> counts, bytes;
};

/// The marked chunks with their places, by one block, a word of marks for each thread at a time:
/// few chunks are dirty, and 32,768 are looked at between two barriers.
__global__ void __launch_bounds__(kListThreads)
    list_dirty(const Tile* tiles, uint64_t chunks, DirtySet set) {
  ListMemory& memory = shared<ListMemory>();
  const auto slab_bytes_of = [&](uint64_t chunk) {
    return slab_bytes(tiles[chunk].row_bytes * tiles[chunk].rows);
  };
  const uint64_t words = dirty_words(chunks);
  DirtyHead head;
  for (uint64_t first = 0; first < words; first += kListThreads) {
    const uint64_t number = first + threadIdx.x;
    const unsigned word = number < words ? set.words[number] : 0;
    uint64_t bytes = 0;
    for (unsigned left = word; left != 0; left &= left - 1) {
      bytes += slab_bytes_of(32 * number + __ffs(static_cast<int>(left)) - 1);
    }
    const auto counts = block_sum<uint64_t>(__popc(word), memory.counts);
    const auto sizes = block_sum<uint64_t>(bytes, memory.bytes);
    uint64_t place = head.count + counts.before, offset = head.bytes + sizes.before;
    for (unsigned left = word; left != 0; left &= left - 1) {
      const uint64_t chunk = 32 * number + __ffs(static_cast<int>(left)) - 1;
      set.chunks[place++] = {chunk, offset};
      offset += slab_bytes_of(chunk);
    }
    head.count += counts.total;
    head.bytes += sizes.total;
    __syncthreads();
  }
  if (threadIdx.x == 0) *set.head = head;
}

}  // namespace

Status find_dirty(Stream stream, const DigestPlan& plan, DeviceSpan image, DeviceSpan digests,
                  DeviceSpan previous, DeviceSpan set) {
  const uint64_t chunks = plan.tiles();
  CAIRN_CHECK(check_room("the image of a digest plan", image, plan.layout().bytes()));
  CAIRN_CHECK(check_room("the digests", digests, 32 * chunks));
  if (previous.bytes != 0) CAIRN_CHECK(check_room("the digests of before", previous, 32 * chunks));
  CAIRN_CHECK(check_room("the set of dirty chunks", set, dirty_set_bytes(chunks)));
  if (chunks == 0) return fill_zeros(stream, set.data, sizeof(DirtyHead));
  const DirtySet marks = dirty_set(set.data, chunks);
  const auto* before =
      previous.bytes == 0 ? nullptr : reinterpret_cast<const uint4*>(previous.data);
  CAIRN_CHECK(launch(stream, shape_for(chunks, {}), "mark_dirty", mark_dirty,
                     reinterpret_cast<const uint4*>(digests.data), before, chunks, marks.words));
  return launch(stream, {1, kListThreads}, "list_dirty", list_dirty,
                reinterpret_cast<const Tile*>(image.data + plan.layout().tiles_at()), chunks,
                marks);
}

}  // namespace cairn::gpu
