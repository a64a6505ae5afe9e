// What kernels of transforms know of a plan: its image as it lies on the device. Made by
// gpu/transform_plan.cc.
#pragma once

#include <cstdint>

#include "gpu/program_record.h"

namespace cairn::gpu {

/// Bytes of items that a block of threads takes at a time: kTileRounds times 16 for each of
/// kTileThreads. A power of two, so tiles do not cross the format's blocks.
inline constexpr unsigned kTileThreads = 256;
inline constexpr unsigned kTileWarps = kTileThreads / 32;
inline constexpr unsigned kTileRounds = 4;
inline constexpr unsigned kTileBytes = 16 * kTileThreads * kTileRounds;

struct ChunkRecord {
  uint8_t* items;
  InputPointers inputs;
  uint64_t count;    ///< items
  uint64_t coded;    ///< where its planes or codes begin, in bytes
  uint64_t program;  ///< number of its program
};

/// How items and what they are predicted by make residuals.
enum class Combination : uint8_t { kItself, kFloats, kIntegers, kXor };

/// Passed to kernels by value.
struct TransformWork {
  const ChunkRecord* chunks;
  const uint64_t* first_tiles;  ///< of each chunk, and one more
  const ProgramRecord* programs;
  const ProgramRecord*
      guessers;  ///< for each program what guesses its gradient from items and bases
  uint64_t chunk_count;
  uint64_t tiles;
  Combination combination;
  bool is_bf16;  ///< of casts: BF16 beside F32, else F16
};

}  // namespace cairn::gpu
