// Which boxes of a tensor hold each of its chunks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/grid.h"
#include "lib/tensor.h"

namespace cairn {

/// Made once a tensor, so that a save looks at a box only for the chunks that it meets. Takes
/// nothing for a tensor in one box, else 8 bytes a chunk and 4 for each part of a chunk.
/// Threads: any.
class ChunkSources {
 public:
  ChunkSources() = default;
  /// REQUIRES: boxes inside the grid's shape.
  ChunkSources(const Grid& grid, const std::vector<Box>& boxes);

  /// Numbers of the boxes that hold parts of the chunk, in increasing order: the first that holds
  /// all of it where there is one; none where no box meets it. REQUIRES: a chunk of the grid.
  std::span<const uint32_t> of(uint64_t chunk) const;

 private:
  std::vector<uint64_t> first_;  // per chunk and one more; empty: one box holds everything
  std::vector<uint32_t> boxes_;
};

}  // namespace cairn
