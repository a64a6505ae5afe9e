#include "gpu/dirty.h"

#include <fmt/format.h>

#include "gpu/dirty_set.h"

namespace cairn::gpu {

uint64_t dirty_set_bytes(uint64_t chunks) {
  return dirty_mark_end(chunks) + sizeof(DirtyChunk) * chunks +
         sizeof(DirtyHead) * dirty_groups(chunks);
}

uint64_t dirty_mark_bytes(uint64_t chunks) { return dirty_mark_end(chunks); }

Result<std::vector<DirtyChunk>> read_dirty(ByteSpan marks, std::span<const Tile> tiles) {
  if (marks.size() < dirty_mark_bytes(tiles.size())) {
    return fail(Code::kCorrupt,
                fmt::format("the marks of {} chunks are {} bytes, not {}", tiles.size(),
                            dirty_mark_bytes(tiles.size()), marks.size()));
  }
  const auto head = load_le<DirtyHead>(marks);
  std::vector<DirtyChunk> dirty;
  uint64_t offset = 0;
  for (uint64_t chunk = 0; chunk < tiles.size(); ++chunk) {
    const auto word = load_le<uint32_t>(marks, sizeof(DirtyHead) + 4 * (chunk / 32));
    if ((word >> chunk % 32 & 1) == 0) continue;
    dirty.push_back({chunk, offset});
    offset += slab_bytes(tiles[chunk].row_bytes * tiles[chunk].rows);
  }
  if (dirty.size() == head.count && offset == head.bytes) return dirty;
  return fail(Code::kCorrupt, fmt::format("{} chunks of {} bytes are marked, and {} of {} are told",
                                          dirty.size(), offset, head.count, head.bytes));
}

}  // namespace cairn::gpu
