// The code of numbers in bits (docs/FORMAT.md, section 7.2): how many bits the high part of a
// number has, these bits without the first, and its low bits. Private to base/encodings.
#pragma once

#include <optional>

#include "base/encodings/bit_stream.h"
#include "base/encodings/block.h"

namespace cairn {

inline constexpr unsigned kGapLowBits = 5, kValueLowBits = 6;

[[gnu::always_inline]] inline uint64_t low_of(uint64_t bits, unsigned count) {
  return bits & ((uint64_t{1} << count) - 1);
}

/// How many bits a value has; 0 of 0, and no branch on that: most values are 0 or 1, by chance.
template <class U>
[[gnu::always_inline]] inline unsigned width_of(U value) {
  if constexpr (sizeof(U) == 8) return static_cast<unsigned>(std::bit_width(value));
  return 63 - static_cast<unsigned>(__builtin_clzll(uint64_t{value} << 1 | 1));
}
/// Of so many bits one is the highest, which is known.
[[gnu::always_inline]] inline unsigned below_top(unsigned width) { return width - (width > 0); }

template <class U>
unsigned bits_of_code(U value, unsigned low) {
  const unsigned width = width_of(static_cast<U>(value >> low));
  return width + 1 + below_top(width) + low;
}

template <class U>
[[gnu::always_inline]] inline void put_code(BitWriter& writer, U value, unsigned low) {
  const uint64_t high = uint64_t{value} >> low;
  const unsigned width = width_of(static_cast<U>(high));
  // Both parts at once: below the top there are fewer bits than the number has.
  writer.put_code(width, low_of(high, below_top(width)) | low_of(value, low) << below_top(width),
                  below_top(width) + low);
}

/// nullopt when the number has more bits than its type.
template <class U>
std::optional<U> take_code(BitReader& reader, unsigned low) {
  constexpr size_t kBits = 8 * sizeof(U);
  const auto width = static_cast<unsigned>(reader.take_unary(kBits));
  if (width + low > kBits) return std::nullopt;
  const uint64_t top = width > 0 ? uint64_t{1} << (width - 1) : 0;
  const uint64_t high = top | reader.take(below_top(width));
  return static_cast<U>(high << low | reader.take(low));
}

/// The next gap and the code of a value; false when that is too large. Nearly all lie in what a
/// look shows.
template <class U>
[[gnu::always_inline]] inline bool take_pair(BitReader& reader, unsigned gap_low,
                                             unsigned value_low, size_t& gap, U& value) {
  const uint64_t word = reader.peek();
  const unsigned ones = BitReader::ones_of(word);
  const unsigned gap_bits = ones + 1 + gap_low;
  if (gap_bits <= BitReader::kPeek) [[likely]] {
    gap = size_t{ones} << gap_low | low_of(word >> ones >> 1, gap_low);
    const uint64_t rest = word >> gap_bits;
    const unsigned width = BitReader::ones_of(rest);
    const unsigned below = below_top(width);
    const unsigned bits = gap_bits + width + 1 + below + value_low;
    if (bits <= BitReader::kPeek && width + value_low <= 8 * sizeof(U)) [[likely]] {
      const uint64_t parts = rest >> width >> 1;
      const uint64_t high = uint64_t{1} << width >> 1 | low_of(parts, below);
      value = static_cast<U>(high << value_low | low_of(parts >> below, value_low));
      reader.skip(bits);
      return true;
    }
    reader.skip(gap_bits);
  } else {
    gap = reader.take_unary(kBlockItems) << gap_low;
    gap |= reader.take(gap_low);
  }
  const auto taken = take_code<U>(reader, value_low);
  value = taken.value_or(0);
  return taken.has_value();
}

}  // namespace cairn
