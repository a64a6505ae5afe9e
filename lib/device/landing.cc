#include "lib/device/landing.h"

#include <cstring>

namespace cairn {

namespace {

/// How contents get into a slab.
struct Filling {
  std::vector<gpu::Tile> gathered;   // those that lie as rows, which come first
  std::vector<gpu::BoxCopy> copies;  // of the others
};

}  // namespace

static Result<Gathered> lay_out(Arena& arena, std::span<const Content* const> contents,
                                Filling& filling) {
  Gathered slab;
  uint64_t bytes = 0;
  for (const Content* content : contents) bytes += landed_bytes(content->bytes);
  CAIRN_TRY(slab.memory, take_room(arena, bytes));
  slab.offsets.resize(contents.size());
  slab.tiles.resize(contents.size());
  uint64_t offset = 0;
  for (const bool as_rows : {true, false}) {
    for (size_t i = 0; i < contents.size(); ++i) {
      const Content& content = *contents[i];
      if (content.tile.has_value() != as_rows) continue;
      uint8_t* const to = slab.memory.data + offset;
      slab.offsets[i] = offset;
      slab.tiles[i] = {to, content.bytes};
      offset += landed_bytes(content.bytes);
      if (as_rows) {
        filling.gathered.push_back(*content.tile);
      } else {
        const auto parts = copies_to(content, to);
        filling.copies.insert(filling.copies.end(), parts.begin(), parts.end());
      }
    }
  }
  return slab;
}

static Status gather_rows(const Lane& lane, Arena& arena, const std::vector<gpu::Tile>& rows,
                          gpu::DeviceSpan slab) {
  CAIRN_TRY(const gpu::DigestPlan plan, gpu::DigestPlan::make(rows));
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_TRY(const gpu::DeviceSpan set, take_room(arena, gpu::dirty_set_bytes(rows.size())));
  CAIRN_TRY(const gpu::DeviceSpan unread, take_room(arena, sizeof(Digest) * rows.size()));
  CAIRN_CHECK(gpu::copy_up(lane.work(), image.data, plan.image()));
  // All of them: what is wanted was decided by the host.
  CAIRN_CHECK(gpu::find_dirty(lane.work(), plan, image, unread, {}, set, lane.share()));
  return gpu::gather(lane.work(), plan, image, set, 0, slab, lane.share());
}

Result<Gathered> gather_contents(const Lane& lane, Arena& arena,
                                 std::span<const Content* const> contents) {
  Filling filling;
  CAIRN_TRY(Gathered slab, lay_out(arena, contents, filling));
  if (!filling.copies.empty()) {
    CAIRN_CHECK(gpu::copy_boxes(lane.work(), filling.copies, lane.share()));
  }
  if (!filling.gathered.empty()) {
    CAIRN_CHECK(gather_rows(lane, arena, filling.gathered, slab.memory));
  }
  return slab;
}

Result<Landing> Landing::begin(Lane& lane, unsigned turn, std::span<const Content* const> contents,
                               MutableBytes host) {
  Arena& arena = lane.slab(turn);
  CAIRN_CHECK(gpu::wait_for(lane.work(), lane.copied(turn)));
  arena.clear();
  CAIRN_TRY(const Gathered slab, gather_contents(lane, arena, contents));
  CAIRN_TRY(const gpu::DeviceSpan digests, enqueue_digests(lane, arena, slab.tiles));
  return send(lane, turn, slab, contents, digests, host);
}

Result<Landing> Landing::send(Lane& lane, unsigned turn, const Gathered& gathered,
                              std::span<const Content* const> contents, gpu::DeviceSpan digests,
                              MutableBytes host) {
  Landing landing;
  CAIRN_TRY(landing.landed_, gpu::Event::make());
  gpu::Event filled;
  CAIRN_TRY(filled, gpu::Event::make());
  CAIRN_CHECK(filled.record(lane.work()));
  CAIRN_CHECK(gpu::wait_for(lane.copies(), filled));
  const uint64_t bytes = gathered.memory.bytes;
  const MutableBytes told = host.subspan(bytes, sizeof(Digest) * contents.size());
  CAIRN_CHECK(lane.bring(lane.copies(), host.first(bytes), gathered.memory.data));
  CAIRN_CHECK(lane.bring(lane.copies(), told, digests.data));
  CAIRN_CHECK(landing.landed_.record(lane.copies()));
  CAIRN_CHECK(lane.copied(turn).record(lane.copies()));
  landing.digests_ = told;
  for (size_t i = 0; i < contents.size(); ++i) {
    landing.bytes_.push_back(host.subspan(gathered.offsets[i], contents[i]->bytes));
  }
  return landing;
}

Digest Landing::digest(size_t content) const {
  Digest digest;
  std::memcpy(&digest, &digests_[sizeof(Digest) * content], sizeof(Digest));
  return digest;
}

}  // namespace cairn
