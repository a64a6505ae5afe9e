// Copying much memory that nobody reads soon.
#pragma once

#include <cstdint>
#include <span>

namespace cairn {

struct MemoryMove {
  uint8_t* target = nullptr;
  const uint8_t* source = nullptr;
  uint64_t bytes = 0;
};

/// Copies ranges that do not overlap, in `threads` threads (0: default_threads()). Targets are
/// written past the caches: half of what a plain copy takes, as their old bytes are not read first.
void stream_copy(std::span<const MemoryMove> moves, unsigned threads);

}  // namespace cairn
