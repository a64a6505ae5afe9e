#include "lib/chunk_jobs.h"

#include <algorithm>

namespace cairn {

static constexpr uint64_t kJobBytes = 2 * kMiB;
static constexpr size_t kJobChunksMax = 256;

/// About: of an attachment's, the average.
static uint64_t chunk_bytes(const SavePlan& plan, size_t item) {
  if (item >= plan.tensors.size()) {
    const AttachmentInfo& attachment = plan.attachment_infos[item - plan.tensors.size()];
    return ceil_div(attachment.bytes, attachment.edges.count());
  }
  const PlannedTensor& tensor = plan.tensors[item];
  return tensor.grid.chunk_box(0).elements() * tensor.form.item_bytes;
}

std::vector<ChunkJob> make_jobs(const SavePlan& plan, std::span<const SaveGroup* const> groups) {
  std::vector<ChunkJob> jobs;
  uint64_t room_bytes = 0, room_chunks = 0;
  for (const SaveGroup* group : groups) {
    uint64_t bytes = 1;
    for (const size_t item : group->items) bytes += chunk_bytes(plan, item);
    for (uint64_t first = 0; first < group->chunks;) {
      if (room_bytes == 0 || room_chunks == 0) {
        jobs.emplace_back();
        room_bytes = kJobBytes;
        room_chunks = kJobChunksMax;
      }
      const uint64_t count =
          std::min({group->chunks - first, room_chunks, ceil_div(room_bytes, bytes)});
      jobs.back().push_back({group, first, count});
      room_bytes -= std::min(room_bytes, count * bytes);
      room_chunks -= count;
      first += count;
    }
  }
  return jobs;
}

}  // namespace cairn
