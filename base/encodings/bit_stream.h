// Streams of bits, from the lowest bit of each byte to the highest. Private to base/encodings and
// its tests.
#pragma once

#include <algorithm>

#include "base/bytes.h"

namespace cairn {

/// Fills room that the caller has measured.
class BitWriter {
 public:
  static constexpr size_t kSlack = 8;    ///< what it may write beyond the last bit's byte
  static constexpr unsigned kMost = 56;  ///< bits at once

  explicit BitWriter(uint8_t* room) : to_(room) {}

  /// REQUIRES: count <= kMost, no bit set beyond them.
  void put(uint64_t bits, unsigned count) {
    word_ |= bits << filled_;
    filled_ += count;
    std::memcpy(to_, &word_, sizeof word_);
    to_ += filled_ / 8;
    word_ >>= filled_ / 8 * 8;
    filled_ %= 8;
  }
  /// So many one bits, a zero bit, and `count` bits, up to 64.
  void put_code(size_t ones, uint64_t bits, unsigned count) {
    if (ones + 1 + count <= kMost) [[likely]] {
      const auto before = static_cast<unsigned>(ones);
      return put(((uint64_t{1} << before) - 1) | bits << before << 1, before + 1 + count);
    }
    for (; ones >= 32; ones -= 32) put(0xffffffff, 32);
    put((uint64_t{1} << ones) - 1, static_cast<unsigned>(ones) + 1);
    const unsigned low = std::min(count, 32u);
    put(bits & ((uint64_t{1} << low) - 1), low);
    if (count > low) put(bits >> 32, count - low);
  }

 private:
  uint8_t* to_;
  uint64_t word_ = 0;    ///< of bits whose byte is not full yet
  unsigned filled_ = 0;  ///< how many these are
};

/// Reads zeros where the stream has ended; whether it has is asked once, at the end.
class BitReader {
 public:
  static constexpr unsigned kPeek = 57;  ///< bits that a look is sure to show

  explicit BitReader(ByteSpan stream) : from_(stream.data()), bytes_(stream.size()) {}

  uint64_t peek() const {
    const size_t byte = at_ / 8;
    uint64_t word = 0;
    if (byte + sizeof word <= bytes_) [[likely]] {
      std::memcpy(&word, from_ + byte, sizeof word);
    } else if (byte < bytes_) {
      std::memcpy(&word, from_ + byte, bytes_ - byte);
    }
    return word >> at_ % 8;
  }
  /// The one bits at the beginning of what a look shows; at least kPeek when it shows no end.
  static unsigned ones_of(uint64_t word) {
    return static_cast<unsigned>(__builtin_ctzll(~word | uint64_t{1} << 63));
  }
  void skip(size_t bits) { at_ += bits; }

  /// The next bits, up to 64.
  uint64_t take(unsigned count) {
    const unsigned low = std::min(count, 32u);
    uint64_t bits = peek() & ((uint64_t{1} << low) - 1);
    skip(low);
    if (count > low) {
      bits |= (peek() & ((uint64_t{1} << (count - low)) - 1)) << 32;
      skip(count - low);
    }
    return bits;
  }
  /// The one bits before the next zero bit, and takes both; beyond `most` it may stop early.
  size_t take_unary(size_t most) {
    size_t ones = 0;
    while (ones <= most) {
      const unsigned here = ones_of(peek());
      if (here < kPeek) {
        skip(here + 1);
        return ones + here;
      }
      skip(kPeek);
      ones += kPeek;
    }
    return ones;
  }

  /// Nothing is left but less than a byte of zeros, and no more was read than there is.
  bool is_used_up() const {
    return at_ <= 8 * bytes_ && 8 * bytes_ - at_ < 8 && (at_ % 8 == 0 || peek() == 0);
  }

 private:
  const uint8_t* from_;
  size_t bytes_;
  size_t at_ = 0;
};

}  // namespace cairn
