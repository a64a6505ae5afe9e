#include "lib/device/landing.h"

#include <cstring>

namespace cairn {

namespace {

/// A slab that is being filled.
struct Slab {
  gpu::DeviceSpan memory;
  std::vector<uint64_t> offsets;     // by content
  std::vector<gpu::Tile> gathered;   // contents that lie as rows come first
  std::vector<gpu::Tile> filled;     // all, where they lie in the slab
  std::vector<gpu::BoxCopy> copies;  // of the others
};

}  // namespace

static Result<Slab> lay_out(Arena& arena, std::span<const Content* const> contents) {
  Slab slab;
  uint64_t bytes = 0;
  for (const Content* content : contents) bytes += landed_bytes(content->bytes);
  CAIRN_TRY(slab.memory, take_room(arena, bytes));
  slab.offsets.resize(contents.size());
  slab.filled.resize(contents.size());
  uint64_t offset = 0;
  for (const bool as_rows : {true, false}) {
    for (size_t i = 0; i < contents.size(); ++i) {
      const Content& content = *contents[i];
      if (content.tile.has_value() != as_rows) continue;
      uint8_t* const to = slab.memory.data + offset;
      slab.offsets[i] = offset;
      slab.filled[i] = {to, content.bytes};
      offset += landed_bytes(content.bytes);
      if (as_rows) {
        slab.gathered.push_back(*content.tile);
      } else {
        const auto parts = copies_to(content, to);
        slab.copies.insert(slab.copies.end(), parts.begin(), parts.end());
      }
    }
  }
  return slab;
}

static Status fill(const Lane& lane, Arena& arena, const Slab& slab) {
  if (!slab.copies.empty()) {
    CAIRN_CHECK(gpu::copy_boxes(lane.work(), slab.copies, lane.share()));
  }
  if (slab.gathered.empty()) return {};
  CAIRN_TRY(const gpu::DigestPlan plan, gpu::DigestPlan::make(slab.gathered));
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_TRY(const gpu::DeviceSpan set,
            take_room(arena, gpu::dirty_set_bytes(slab.gathered.size())));
  CAIRN_TRY(const gpu::DeviceSpan unread, take_room(arena, sizeof(Digest) * slab.gathered.size()));
  CAIRN_CHECK(gpu::copy_up(lane.work(), image.data, plan.image()));
  // All of them: what is wanted was decided by the host.
  CAIRN_CHECK(gpu::find_dirty(lane.work(), plan, image, unread, {}, set, lane.share()));
  return gpu::gather(lane.work(), plan, image, set, 0, slab.memory, lane.share());
}

Result<Landing> Landing::begin(Lane& lane, unsigned turn, std::span<const Content* const> contents,
                               MutableBytes host) {
  Arena& arena = lane.slab(turn);
  CAIRN_CHECK(gpu::wait_for(lane.work(), lane.copied(turn)));
  arena.clear();
  CAIRN_TRY(const Slab slab, lay_out(arena, contents));
  CAIRN_CHECK(fill(lane, arena, slab));
  Landing landing;
  CAIRN_TRY(landing.landed_, gpu::Event::make());
  CAIRN_TRY(const gpu::DeviceSpan digests, enqueue_digests(lane, arena, slab.filled));
  gpu::Event filled;
  CAIRN_TRY(filled, gpu::Event::make());
  CAIRN_CHECK(filled.record(lane.work()));
  CAIRN_CHECK(gpu::wait_for(lane.copies(), filled));
  const MutableBytes told = host.subspan(slab.memory.bytes, digests.bytes);
  CAIRN_CHECK(gpu::copy_down(lane.copies(), host.first(slab.memory.bytes), slab.memory.data));
  CAIRN_CHECK(gpu::copy_down(lane.copies(), told, digests.data));
  CAIRN_CHECK(landing.landed_.record(lane.copies()));
  CAIRN_CHECK(lane.copied(turn).record(lane.copies()));
  landing.digests_ = told;
  for (size_t i = 0; i < contents.size(); ++i) {
    landing.bytes_.push_back(host.subspan(slab.offsets[i], contents[i]->bytes));
  }
  return landing;
}

Digest Landing::digest(size_t content) const {
  Digest digest;
  std::memcpy(&digest, &digests_[sizeof(Digest) * content], sizeof(Digest));
  return digest;
}

}  // namespace cairn
