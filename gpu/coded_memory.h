// Where transforms put what they make of items, and find it again.
#pragma once

#include <cstdint>

namespace cairn::gpu {

/// The larger items of a tile of escapes, in the slab.
struct EscapedRun {
  uint64_t offset = 0;  ///< in bytes, a multiple of 16; 0 if there are none
  uint64_t count = 0;   ///< items
};

/// What calls leave behind, added to what is there: zeros before the first.
struct TransformState {
  uint64_t slab_bytes = 0;  ///< that were asked for; what lies beyond the slab was not written
  uint64_t damaged = 0;     ///< not 0: some codes and runs did not fit each other when decoded
};

/// Of the residuals of a chunk; ResidualCounts of base/encodings/item_kernel.h.
struct ChunkCounts {
  uint64_t zeros = 0, ones = 0, twos = 0;
  uint64_t bits = 0;  ///< of all residuals, or-ed
};

/// Passed to kernels by value; what a kernel does not use is null.
struct CodedMemory {
  uint8_t* codes;
  EscapedRun* runs;  ///< of each tile
  uint8_t* slab;
  uint64_t slab_bytes;
  TransformState* state;
  ChunkCounts* counts;
};

}  // namespace cairn::gpu
