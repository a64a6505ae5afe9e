// Where content is cut into chunks, as arithmetic (docs/FORMAT.md, section 5). Whoever cuts, on
// whatever device, takes it from here; so this includes nothing but integers.
#pragma once

#include <cstdint>

namespace cairn {

inline constexpr uint32_t kWordFactor = 0x9E3779B1;
inline constexpr uint32_t kWordOffset = 0x85EBCA6B;
inline constexpr unsigned kWordShift = 15;
/// The hash at a word is that of this many words: the word and those before it.
inline constexpr unsigned kHashWords = 32;
inline constexpr uint64_t kWordBytes = 4;

inline constexpr uint64_t kAverageBytesMin = 256;
inline constexpr uint64_t kAverageBytesMax = uint64_t{1} << 28;

/// What a word adds to the hash.
constexpr uint32_t word_mix(uint32_t word) {
  const uint32_t mixed = word * kWordFactor + kWordOffset;
  return mixed ^ (mixed >> kWordShift);
}

/// The hash at a word, from the hash at the one before it (0 before the first).
constexpr uint32_t next_hash(uint32_t hash, uint32_t word) { return 2 * hash + word_mix(word); }

/// A chunk ends behind the first word at which the hash is at most `threshold` and that leaves it
/// `min_bytes` to `max_bytes`; where there is none, after `max_bytes`; at the latest with the
/// content.
struct ChunkRule {
  uint64_t min_bytes = 0;  ///< a multiple of 4, as the next
  uint64_t max_bytes = 0;
  uint32_t threshold = 0;

  /// Whether chunks of that average can be cut.
  static constexpr bool is_average(uint64_t bytes) {
    return bytes >= kAverageBytesMin && bytes <= kAverageBytesMax && bytes % 16 == 0;
  }
  /// A quarter of the average is passed over, and three quarters are the distance at which a hash
  /// of chance is low enough. REQUIRES: is_average(bytes).
  static constexpr ChunkRule of_average(uint64_t bytes) {
    const uint64_t words_between = 3 * bytes / (4 * kWordBytes);
    return {bytes / 4, 4 * bytes, static_cast<uint32_t>((uint64_t{1} << 32) / words_between)};
  }
};

}  // namespace cairn
