#include "lib/device/joined_planes.h"

#include <map>

#include "lib/device/landing.h"

namespace cairn {

uint64_t joined_room(uint64_t bytes) {
  // There are no more images than units, and one room for all items: each may lose to alignment.
  return landed_bytes(bytes) + gpu::TransformPlan::image_bytes(1) + 2 * Arena::kAlignment;
}

/// Those whose items are of one width, by one kernel.
static Status join(const Lane& lane, Arena& arena, gpu::DeviceSpan slab, unsigned item_bytes,
                   std::span<const gpu::TransformChunk> chunks) {
  gpu::Transform transform;
  transform.form.bytes = static_cast<uint8_t>(item_bytes);
  CAIRN_TRY(const auto plan, gpu::TransformPlan::make(transform, chunks));
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_CHECK(gpu::copy_up(lane.work(), image.data, plan.image()));
  return gpu::decode(lane.work(), plan, image, {slab, {}, {}, {}}, lane.share());
}

Result<std::vector<uint8_t*>> join_landed(const Lane& lane, Arena& arena, gpu::DeviceSpan slab,
                                          std::span<const LandedUnit> units) {
  uint64_t joined_bytes = 0;
  for (const LandedUnit& unit : units) {
    if (unit.plane_item_bytes > 0) joined_bytes += landed_bytes(unit.bytes);
  }
  CAIRN_TRY(const gpu::DeviceSpan joined, take_room(arena, joined_bytes));
  std::vector<uint8_t*> places;
  std::map<unsigned, std::vector<gpu::TransformChunk>> chunks;  // by the bytes of an item
  uint64_t at = 0;
  for (const auto& [offset, bytes, item_bytes] : units) {
    places.push_back(item_bytes > 0 ? joined.data + at : slab.data + offset);
    if (item_bytes == 0) continue;
    gpu::TransformChunk& chunk = chunks[item_bytes].emplace_back();
    chunk.items = joined.data + at;
    chunk.count = bytes / item_bytes;
    chunk.coded = offset;
    at += landed_bytes(bytes);
  }
  for (const auto& [item_bytes, of_width] : chunks) {
    CAIRN_CHECK(join(lane, arena, slab, item_bytes, of_width));
  }
  return places;
}

}  // namespace cairn
