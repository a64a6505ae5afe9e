#include "lib/device/lane_digests.h"

#include <cstring>

namespace cairn {

uint64_t digest_cost(const Content& content) {
  const uint64_t assembled = content.tile ? 0 : round_up(content.bytes, Arena::kAlignment);
  return digests_room(1, content.bytes) + assembled;
}

Result<LaneDigests> LaneDigests::begin(Lane& lane, unsigned turn,
                                       std::span<const Content* const> contents) {
  Arena& arena = lane.digests(turn);
  arena.clear();
  std::vector<gpu::Tile> tiles;
  std::vector<gpu::BoxCopy> copies;
  for (const Content* content : contents) {
    if (content->tile) {
      tiles.push_back(*content->tile);
      continue;
    }
    CAIRN_TRY(const gpu::DeviceSpan room, take_room(arena, content->bytes));
    const auto parts = copies_to(*content, room.data);
    copies.insert(copies.end(), parts.begin(), parts.end());
    tiles.push_back({room.data, content->bytes});
  }
  if (!copies.empty()) CAIRN_CHECK(gpu::copy_boxes(lane.work(), copies, lane.share()));
  LaneDigests digests;
  CAIRN_TRY(const gpu::DeviceSpan out, enqueue_digests(lane, arena, tiles));
  CAIRN_TRY(digests.told_, lane.told(turn, out.bytes));
  CAIRN_TRY(digests.done_, gpu::Event::make());
  CAIRN_CHECK(lane.bring(lane.work(), digests.told_, out.data));
  CAIRN_CHECK(digests.done_.record(lane.work()));
  return digests;
}

Result<std::vector<Digest>> LaneDigests::finish() const {
  CAIRN_CHECK(done_.wait());
  std::vector<Digest> digests(told_.size() / sizeof(Digest));
  if (!digests.empty()) std::memcpy(digests.data(), told_.data(), told_.size());
  return digests;
}

}  // namespace cairn
