#include <fmt/format.h>

#include <random>

#include "base/digest.h"
#include "gpu/dirty.h"
#include "gpu/gather.h"
#include "tests/bench/gpu/rows.h"
#include "tests/bench/gpu/tiled.h"

namespace cairn::gpu {

namespace {

constexpr uint64_t kChunkBytes = 64 * kKiB;

/// About half of the chunks of each buffer, into a slab.
class GatherHalf final : public Operation {
 public:
  static Prepared prepare(const BenchData& data) {
    auto made = std::make_unique<GatherHalf>();
    CAIRN_TRY(made->parts_, tiled(data, chunk_tiles, kChunkBytes));
    CAIRN_CHECK(made->find_half());
    CAIRN_TRY(made->slab_, DeviceMemory::allocate(made->dirty_.size() * kChunkBytes));
    return made;
  }

  Status enqueue(Stream stream, size_t turn) override {
    const Tiled& part = of_turn(turn);
    return gather(stream, part.plan, part.image.span(), set_.span(), 0, slab_.span());
  }

  Status check(size_t turn) override {
    Bytes found(kChunkBytes), expected(kChunkBytes);
    for (const uint64_t i : sample_of(dirty_.size(), 64)) {
      const DirtyChunk& dirty = dirty_[i];
      CAIRN_CHECK(copy_down({}, found, slab_.data() + dirty.offset));
      CAIRN_CHECK(copy_down({}, expected, of_turn(turn).tiles[dirty.chunk].data));
      CAIRN_CHECK(synchronize({}));
      if (found != expected) {
        return fail(Code::kFailed, fmt::format("chunk {} in the slab is another", dirty.chunk));
      }
    }
    return {};
  }

  uint64_t counted_bytes() const override { return 2 * slab_.size(); }

 private:
  const Tiled& of_turn(size_t turn) const { return parts_[turn % parts_.size()]; }

  /// Chunks lie alike in all buffers, so one set is for all.
  Status find_half() {
    const Tiled& part = parts_.front();
    const uint64_t chunks = part.tiles.size();
    Bytes before(sizeof(Digest) * chunks), now = before;
    std::mt19937 random(3);
    for (uint64_t i = 0; i < chunks; ++i) now[sizeof(Digest) * i] = (i == 0 || random() % 2 == 0);
    CAIRN_TRY(const DeviceMemory old_digests, DeviceMemory::allocate(before.size()));
    CAIRN_TRY(const DeviceMemory new_digests, DeviceMemory::allocate(now.size()));
    CAIRN_TRY(set_, DeviceMemory::allocate(dirty_set_bytes(chunks)));
    CAIRN_CHECK(copy_up({}, old_digests.data(), before));
    CAIRN_CHECK(copy_up({}, new_digests.data(), now));
    CAIRN_CHECK(find_dirty({}, part.plan, part.image.span(), new_digests.span(), old_digests.span(),
                           set_.span()));
    Bytes marks(dirty_mark_bytes(chunks));
    CAIRN_CHECK(copy_down({}, marks, set_.data()));
    CAIRN_CHECK(synchronize({}));
    CAIRN_TRY(dirty_, read_dirty(marks, part.tiles));
    return {};
  }

  std::vector<Tiled> parts_;
  std::vector<DirtyChunk> dirty_;
  DeviceMemory set_, slab_;
};

}  // namespace

Prepared gather_half(const BenchData& data) { return GatherHalf::prepare(data); }

}  // namespace cairn::gpu
