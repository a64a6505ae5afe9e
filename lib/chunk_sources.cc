#include "lib/chunk_sources.h"

#include <algorithm>
#include <numeric>

namespace cairn {

static constexpr uint32_t kNobody = UINT32_MAX;

/// Per chunk, the first box that holds all of it.
static std::vector<uint32_t> find_holders(const Grid& grid, const std::vector<Box>& boxes) {
  std::vector<uint32_t> holders(grid.chunk_count(), kNobody);
  for (uint32_t box = 0; box < boxes.size(); ++box) {
    grid.for_each_chunk(boxes[box], [&](uint64_t chunk) {
      const bool is_first =
          holders[chunk] == kNobody && contains(boxes[box], grid.chunk_box(chunk));
      if (is_first) holders[chunk] = box;
    });
  }
  return holders;
}

ChunkSources::ChunkSources(const Grid& grid, const std::vector<Box>& boxes) {
  if (boxes.size() == 1 && boxes[0] == whole_box(grid.shape())) return;
  const std::vector<uint32_t> holders = find_holders(grid, boxes);
  const auto visit_parts = [&](const auto& visit) {
    for (uint32_t box = 0; box < boxes.size(); ++box) {
      grid.for_each_chunk(boxes[box], [&](uint64_t chunk) {
        if (holders[chunk] == kNobody || holders[chunk] == box) visit(chunk, box);
      });
    }
  };
  first_.assign(grid.chunk_count() + 1, 0);
  visit_parts([&](uint64_t chunk, uint32_t) { ++first_[chunk + 1]; });
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  boxes_.resize(first_.back());
  std::vector<uint64_t> next(first_.begin(), first_.end() - 1);
  visit_parts([&](uint64_t chunk, uint32_t box) { boxes_[next[chunk]++] = box; });
}

std::span<const uint32_t> ChunkSources::of(uint64_t chunk) const {
  static constexpr uint32_t kOnlyBox = 0;
  if (first_.empty()) return {&kOnlyBox, 1};
  return std::span(boxes_).subspan(first_[chunk], first_[chunk + 1] - first_[chunk]);
}

}  // namespace cairn
