// Values of leaves: up to 1 KiB each, by one thread. For kernels.
#pragma once

#include "gpu/blake3.h"
#include "gpu/tile_read.h"

namespace cairn::gpu {

struct Leaf {
  uint64_t number;      ///< in its tile
  unsigned bytes;       ///< an empty leaf is one block of zeros
  unsigned last_flags;  ///< more of the last block
};

CAIRN_DEVICE void hash_block(NodeValue& value, const Leaf& leaf, unsigned block,
                             const unsigned (&words)[16]) {
  const unsigned offset = block * kDigestBlockBytes;
  const bool is_last = offset + kDigestBlockBytes >= leaf.bytes;
  const unsigned flags =
      (block == 0 ? kDigestLeafStart : 0u) | (is_last ? kDigestLeafEnd | leaf.last_flags : 0u);
  compress(value, words, leaf.number, is_last ? leaf.bytes - offset : kDigestBlockBytes, flags);
}

CAIRN_DEVICE unsigned blocks_of(unsigned bytes) {
  return bytes == 0 ? 1
                    : static_cast<unsigned>((bytes + kDigestBlockBytes - 1) / kDigestBlockBytes);
}

/// A whole leaf that lies in one piece, at a multiple of 16: each block is loaded while the one
/// before is hashed.
CAIRN_DEVICE NodeValue plain_leaf_value(const uint8_t* at, const Leaf& leaf) {
  static constexpr unsigned kBlocks = kDigestLeafBytes / kDigestBlockBytes;
  NodeValue value = start_value();
  uint4 next[4];
  for (unsigned quad = 0; quad < 4; ++quad) next[quad] = load_vector(at + 16 * quad);
#pragma unroll 1
  for (unsigned block = 0; block < kBlocks; ++block) {
    unsigned words[16];
    for (unsigned quad = 0; quad < 4; ++quad) set_words(words, quad, next[quad]);
    if (block + 1 < kBlocks) {
      at += kDigestBlockBytes;
      for (unsigned quad = 0; quad < 4; ++quad) next[quad] = load_vector(at + 16 * quad);
    }
    hash_block(value, leaf, block, words);
  }
  return value;
}

/// Vectors of sixteen bytes at multiples of 16 that hold a leaf, of which each is loaded once; of
/// those at its ends, the words that hold some of it.
class LeafVectors {
 public:
  /// `at` is a multiple of 4.
  CAIRN_DEVICE LeafVectors(const uint8_t* at, unsigned bytes)
      : phase_(static_cast<unsigned>(reinterpret_cast<uintptr_t>(at) % 16 / 4)),
        next_(at - 4 * phase_),
        end_(at + bytes),
        last_(load(phase_)) {}

  /// The next sixteen words of the leaf, zeros behind its end.
  CAIRN_DEVICE void take_block(unsigned (&words)[16], unsigned bytes) {
    unsigned loaded[20];
    set(loaded, 0, last_);
    for (unsigned quad = 1; quad < 5; ++quad) set(loaded, quad, load(0));
    last_ = make_uint4(loaded[16], loaded[17], loaded[18], loaded[19]);
    // One word further, then two: in place, so that all stay in registers.
    for (unsigned i = 0; i < 19; ++i) loaded[i] = (phase_ & 1) != 0 ? loaded[i + 1] : loaded[i];
    for (unsigned i = 0; i < 16; ++i) {
      const unsigned word = (phase_ & 2) != 0 ? loaded[i + 2] : loaded[i];
      words[i] = bytes >= 4 * i + 4 ? word : bytes <= 4 * i ? 0 : word & low_bytes(bytes - 4 * i);
    }
  }

 private:
  CAIRN_DEVICE static unsigned low_bytes(unsigned count) { return (1u << (8 * count)) - 1; }
  CAIRN_DEVICE static void set(unsigned (&words)[20], unsigned quad, const uint4& vector) {
    words[4 * quad] = vector.x;
    words[4 * quad + 1] = vector.y;
    words[4 * quad + 2] = vector.z;
    words[4 * quad + 3] = vector.w;
  }
  /// The next vector, without its first `skipped` words.
  CAIRN_DEVICE uint4 load(unsigned skipped) {
    uint4 vector = make_uint4(0, 0, 0, 0);
    if (skipped == 0 && next_ + 16 <= end_) {
      vector = load_vector(next_);
    } else if (next_ < end_) {
      if (skipped == 0) vector.x = load_word(0);
      if (skipped <= 1) vector.y = load_word(1);
      if (skipped <= 2) vector.z = load_word(2);
      vector.w = load_word(3);
    }
    next_ += 16;
    return vector;
  }
  CAIRN_DEVICE unsigned load_word(unsigned number) const {
    const uint8_t* at = next_ + 4 * number;
    return at < end_ ? __ldg(reinterpret_cast<const unsigned*>(at)) : 0;
  }

  unsigned phase_;  ///< words before the leaf in its first vector
  const uint8_t* next_;
  const uint8_t* end_;
  uint4 last_;
};

/// A leaf in one piece at a multiple of 4.
CAIRN_DEVICE NodeValue word_leaf_value(const uint8_t* at, const Leaf& leaf) {
  LeafVectors vectors(at, leaf.bytes);
  NodeValue value = start_value();
  const unsigned blocks = blocks_of(leaf.bytes);
#pragma unroll 1
  for (unsigned block = 0; block < blocks; ++block) {
    unsigned words[16];
    vectors.take_block(words, leaf.bytes - block * kDigestBlockBytes);
    hash_block(value, leaf, block, words);
  }
  return value;
}

/// Any leaf.
CAIRN_DEVICE NodeValue other_leaf_value(TileCursor cursor, const Leaf& leaf) {
  NodeValue value = start_value();
  const unsigned blocks = blocks_of(leaf.bytes);
#pragma unroll 1
  for (unsigned block = 0; block < blocks; ++block) {
    unsigned words[16];
    for (unsigned quad = 0; quad < 4; ++quad) {
      const unsigned offset = block * kDigestBlockBytes + 16 * quad;
      const unsigned left = offset < leaf.bytes ? leaf.bytes - offset : 0;
      set_words(words, quad,
                left == 0 ? make_uint4(0, 0, 0, 0) : cursor.take(left < 16 ? left : 16));
    }
    hash_block(value, leaf, block, words);
  }
  return value;
}

}  // namespace cairn::gpu
