// The BLAKE3 kernel of N lanes (a multiple of 4): word i of all lanes is one vector, so that one
// vector instruction does the same step of N nodes. Written with the vector extensions of GCC and
// Clang; a file that instantiates it is compiled for one instruction set and includes nothing else.
// Everything is in an anonymous namespace, and nothing of the standard library is called: code
// compiled for a wide machine must never be what the linker keeps for all.
// The layout of lanes follows section 5.3 of the BLAKE3 paper.
#pragma once

#include <cstring>
#include <utility>

#include "base/digest_kernel.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

#define CAIRN_INLINE [[gnu::always_inline]] inline

typedef uint32_t Words4 __attribute__((vector_size(16)));
typedef uint32_t Words8 __attribute__((vector_size(32)));
typedef uint32_t Words16 __attribute__((vector_size(64)));
typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint8_t Bytes32 __attribute__((vector_size(32)));
typedef uint8_t Bytes64 __attribute__((vector_size(64)));

template <size_t N>
struct VectorOf;
template <>
struct VectorOf<4> {
  using Words = Words4;
  using Bytes = Bytes16;
};
template <>
struct VectorOf<8> {
  using Words = Words8;
  using Bytes = Bytes32;
};
template <>
struct VectorOf<16> {
  using Words = Words16;
  using Bytes = Bytes64;
};

template <size_t N>
struct Lanes {
  using Vector = typename VectorOf<N>::Words;
  using ByteVector = typename VectorOf<N>::Bytes;

  /// Where `word` of the block lies in `round`.
  static constexpr size_t word_at(size_t round, size_t word) {
    for (; round > 0; --round) word = kDigestPermutation[word];
    return word;
  }

  CAIRN_INLINE static Vector all(uint32_t word) { return Vector{} + word; }

  template <int kBits>
  CAIRN_INLINE static Vector rotated(Vector x) {
#if !defined(__AVX512F__)
    // Without a rotate instruction, a shuffle of bytes is one step instead of three.
    if constexpr (kBits % 8 == 0) return rotated_bytes<kBits / 8>(x, SizesTo<4 * N>());
#endif
    return (x >> kBits) | (x << (32 - kBits));
  }

  template <size_t kCount>
  using SizesTo = decltype(std::make_index_sequence<kCount>());

  template <int kBytes, size_t... kByte>
  CAIRN_INLINE static Vector rotated_bytes(Vector x, std::index_sequence<kByte...>) {
    const ByteVector bytes = (ByteVector)x;
    return (Vector)__builtin_shufflevector(bytes, bytes, (kByte / 4 * 4 + (kByte + kBytes) % 4)...);
  }

  /// A row of the state: four vectors that take the same step and do not wait for each other.
  struct Row {
    Vector v0, v1, v2, v3;

    CAIRN_INLINE void add(const Vector& x0, const Vector& x1, const Vector& x2, const Vector& x3) {
      v0 += x0;
      v1 += x1;
      v2 += x2;
      v3 += x3;
    }
    CAIRN_INLINE void add(const Row& x) { add(x.v0, x.v1, x.v2, x.v3); }
    template <int kBits>
    CAIRN_INLINE void mix_in(const Row& x) {
      v0 = rotated<kBits>(v0 ^ x.v0);
      v1 = rotated<kBits>(v1 ^ x.v1);
      v2 = rotated<kBits>(v2 ^ x.v2);
      v3 = rotated<kBits>(v3 ^ x.v3);
    }
  };

  /// The state and what a rotate needs do not fit in 16 registers. Left alone, compilers spill what
  /// is needed at once; a word of row c is not, until the next step has gone around (35 % faster).
  CAIRN_INLINE static void keep_in_memory([[maybe_unused]] Vector& word) {
#if defined(__AVX2__) && !defined(__AVX512VL__) && !defined(__clang__)
    asm("" : "+m"(word));
#endif
  }

  /// The columns of the state, or its diagonals where the caller turned the rows.
  template <size_t kRound, size_t kWord>
  CAIRN_INLINE static void mix(Row& a, Row& b, Row& c, Row& d, const Vector* words) {
    constexpr size_t kAt[8] = {word_at(kRound, kWord),     word_at(kRound, kWord + 1),
                               word_at(kRound, kWord + 2), word_at(kRound, kWord + 3),
                               word_at(kRound, kWord + 4), word_at(kRound, kWord + 5),
                               word_at(kRound, kWord + 6), word_at(kRound, kWord + 7)};
    a.add(words[kAt[0]], words[kAt[2]], words[kAt[4]], words[kAt[6]]);
    a.add(b);
    d.template mix_in<16>(a);
    c.add(d);
    b.template mix_in<12>(c);
    keep_in_memory(c.v0);
    a.add(words[kAt[1]], words[kAt[3]], words[kAt[5]], words[kAt[7]]);
    a.add(b);
    d.template mix_in<8>(a);
    c.add(d);
    b.template mix_in<7>(c);
    keep_in_memory(c.v0);
  }

  template <size_t kRound>
  CAIRN_INLINE static void mix_round(Row& a, Row& b, Row& c, Row& d, const Vector* words) {
    mix<kRound, 0>(a, b, c, d, words);
    b = {b.v1, b.v2, b.v3, b.v0};
    c = {c.v2, c.v3, c.v0, c.v1};
    d = {d.v3, d.v0, d.v1, d.v2};
    mix<kRound, 8>(a, b, c, d, words);
    b = {b.v3, b.v0, b.v1, b.v2};
    c = {c.v2, c.v3, c.v0, c.v1};
    d = {d.v1, d.v2, d.v3, d.v0};
  }

  template <size_t... kI>
  CAIRN_INLINE static void interleave(const Vector* in, Vector* out, std::index_sequence<kI...>) {
    // Within each group of four: words 0 and 1 of both, or 2 and 3 of both; then the same by pairs.
    const Vector ab_low =
        __builtin_shufflevector(in[0], in[1], (kI / 4 * 4 + kI % 4 / 2 + kI % 2 * N)...);
    const Vector ab_high =
        __builtin_shufflevector(in[0], in[1], (kI / 4 * 4 + 2 + kI % 4 / 2 + kI % 2 * N)...);
    const Vector cd_low =
        __builtin_shufflevector(in[2], in[3], (kI / 4 * 4 + kI % 4 / 2 + kI % 2 * N)...);
    const Vector cd_high =
        __builtin_shufflevector(in[2], in[3], (kI / 4 * 4 + 2 + kI % 4 / 2 + kI % 2 * N)...);
    out[0] = __builtin_shufflevector(ab_low, cd_low, (kI / 4 * 4 + kI % 2 + kI % 4 / 2 * N)...);
    out[1] = __builtin_shufflevector(ab_low, cd_low, (kI / 4 * 4 + 2 + kI % 2 + kI % 4 / 2 * N)...);
    out[2] = __builtin_shufflevector(ab_high, cd_high, (kI / 4 * 4 + kI % 2 + kI % 4 / 2 * N)...);
    out[3] =
        __builtin_shufflevector(ab_high, cd_high, (kI / 4 * 4 + 2 + kI % 2 + kI % 4 / 2 * N)...);
  }

  /// Sixteen bytes of each of the lanes j, 4 + j, 8 + j ... beside each other.
  /// Unrolled, or the pieces go by the stack, where a wide load waits for narrow stores (GCC 12
  /// with 16 lanes: 17 % faster).
  CAIRN_INLINE static Vector gather(const uint8_t* const* blocks, size_t offset) {
    Words4 quads[N / 4];
#pragma GCC unroll 4
    for (size_t g = 0; g < N / 4; ++g) std::memcpy(&quads[g], blocks[4 * g] + offset, 16);
    return joined(quads);
  }
  CAIRN_INLINE static Vector joined(const Words4* quads) {
    if constexpr (N == 4) {
      return quads[0];
    } else if constexpr (N == 8) {
      return __builtin_shufflevector(quads[0], quads[1], 0, 1, 2, 3, 4, 5, 6, 7);
    } else {
      const auto low = Lanes<8>::joined(quads);
      const auto high = Lanes<8>::joined(quads + 2);
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                     15);
    }
  }

  CAIRN_INLINE static void load_block(const uint8_t* const* blocks, Vector* words) {
    for (size_t i = 0; i < 16; i += 4) {
      Vector rows[4];
#pragma GCC unroll 4
      for (size_t j = 0; j < 4; ++j) rows[j] = gather(blocks + j, 4 * i);
      interleave(rows, words + i, SizesTo<N>());
    }
  }

  CAIRN_INLINE static void store_values(const Vector* value, uint8_t* const* out) {
    for (size_t i = 0; i < kDigestWords; i += 4) {
      Vector rows[4];
      interleave(value + i, rows, SizesTo<N>());
      for (size_t lane = 0; lane < N; ++lane) {
        std::memcpy(
            out[lane] + 4 * i,
            static_cast<const char*>(static_cast<const void*>(&rows[lane % 4])) + lane / 4 * 16,
            16);
      }
    }
  }

  struct Tail {
    Vector counter_low, counter_high, bytes, flags;
  };

  CAIRN_INLINE static void compress(Vector* value, const Vector* words, const Tail& tail) {
    Row a = {value[0], value[1], value[2], value[3]};
    Row b = {value[4], value[5], value[6], value[7]};
    Row c = {all(kDigestStart[0]), all(kDigestStart[1]), all(kDigestStart[2]),
             all(kDigestStart[3])};
    Row d = {tail.counter_low, tail.counter_high, tail.bytes, tail.flags};
    mix_round<0>(a, b, c, d, words);
    mix_round<1>(a, b, c, d, words);
    mix_round<2>(a, b, c, d, words);
    mix_round<3>(a, b, c, d, words);
    mix_round<4>(a, b, c, d, words);
    mix_round<5>(a, b, c, d, words);
    mix_round<6>(a, b, c, d, words);
    value[0] = a.v0 ^ c.v0;
    value[1] = a.v1 ^ c.v1;
    value[2] = a.v2 ^ c.v2;
    value[3] = a.v3 ^ c.v3;
    value[4] = b.v0 ^ d.v0;
    value[5] = b.v1 ^ d.v1;
    value[6] = b.v2 ^ d.v2;
    value[7] = b.v3 ^ d.v3;
  }
};

/// All that one call works on: the lanes of the caller, the last one repeated up to N.
template <size_t N>
struct LaneSet {
  using Vector = typename Lanes<N>::Vector;

  const uint8_t* blocks[N];
  uint8_t* out[N];
  uint32_t left[N];  // bytes not hashed yet
  bool even = true;  // all lanes have the same whole blocks
  uint32_t block_count = 1;
  Vector flags, first_flags, last_flags, live;
  Vector before[kDigestWords];
  typename Lanes<N>::Tail tail;
  alignas(64) uint8_t padded[N][kDigestBlockBytes];
  uint8_t unused[kDigestValueBytes];

  CAIRN_INLINE void set(const DigestLane* lanes, size_t count) {
    const uint32_t bytes = lanes[0].bytes;
    even = bytes > 0 && bytes % kDigestBlockBytes == 0;
    uint32_t most = bytes;
    for (size_t i = 0; i < N; ++i) {
      const DigestLane& lane = lanes[i < count ? i : 0];
      blocks[i] = lane.data;
      out[i] = i < count ? lane.value : unused;
      left[i] = lane.bytes;
      even = even && lane.bytes == bytes;
      most = lane.bytes > most ? lane.bytes : most;
      flags[i] = lane.flags;
      first_flags[i] = lane.first_flags;
      last_flags[i] = lane.last_flags;
      tail.counter_low[i] = static_cast<uint32_t>(lane.counter);
      tail.counter_high[i] = static_cast<uint32_t>(lane.counter >> 32);
    }
    if (most > kDigestBlockBytes) block_count = (most + kDigestBlockBytes - 1) / kDigestBlockBytes;
  }

  CAIRN_INLINE void begin_even(uint32_t block) {
    tail.bytes = Lanes<N>::all(kDigestBlockBytes);
    tail.flags = flags;
    if (block == 0) tail.flags |= first_flags;
    if (block + 1 == block_count) tail.flags |= last_flags;
  }

  /// Lanes that end earlier hash what nobody looks at: `live` keeps their values.
  [[gnu::noinline]] void begin_uneven(uint32_t block) {
    for (size_t i = 0; i < N; ++i) {
      const bool is_live = block == 0 || left[i] > 0;
      const bool is_last = left[i] <= kDigestBlockBytes;
      const uint32_t bytes = is_last ? left[i] : kDigestBlockBytes;
      live[i] = is_live ? ~uint32_t{0} : 0;
      tail.bytes[i] = bytes;
      tail.flags[i] = flags[i] | (block == 0 ? first_flags[i] : 0) | (is_last ? last_flags[i] : 0);
      if (bytes < kDigestBlockBytes) {
        std::memset(padded[i], 0, kDigestBlockBytes);
        if (bytes > 0) std::memcpy(padded[i], blocks[i], bytes);
        blocks[i] = padded[i];
      }
    }
  }

  /// A long input is hashed N leaves at a time: what the next call reads is on its way
  /// from memory while this one computes (8 % faster beyond the cache; a fetch never faults).
  CAIRN_INLINE void fetch_ahead() const {
    for (size_t i = 0; i < N; ++i) __builtin_prefetch(blocks[i] + N * kDigestLeafBytes);
  }

  CAIRN_INLINE void advance() {
    for (size_t i = 0; i < N; ++i) blocks[i] += kDigestBlockBytes;
  }

  /// Lanes at their end stay where they are: nothing is read beyond an input.
  [[gnu::noinline]] void advance_uneven() {
    for (size_t i = 0; i < N; ++i) {
      const bool is_last = left[i] <= kDigestBlockBytes;
      left[i] = is_last ? 0 : left[i] - kDigestBlockBytes;
      if (left[i] > 0) blocks[i] += kDigestBlockBytes;
    }
  }
};

template <size_t N>
void hash_lanes(const DigestLane* lanes, size_t count) {
  using Vector = typename Lanes<N>::Vector;
  LaneSet<N> set;
  set.set(lanes, count);
  Vector value[kDigestWords];
  for (size_t i = 0; i < kDigestWords; ++i) value[i] = Lanes<N>::all(kDigestStart[i]);
  for (uint32_t block = 0; block < set.block_count; ++block) {
    if (set.even) {
      set.begin_even(block);
      set.fetch_ahead();
    } else {
      set.begin_uneven(block);
      for (size_t i = 0; i < kDigestWords; ++i) set.before[i] = value[i];
    }
    Vector words[16];
    Lanes<N>::load_block(set.blocks, words);
    Lanes<N>::compress(value, words, set.tail);
    if (set.even) {
      set.advance();
    } else {
      for (size_t i = 0; i < kDigestWords; ++i) {
        value[i] = (value[i] & set.live) | (set.before[i] & ~set.live);
      }
      set.advance_uneven();
    }
  }
  Lanes<N>::store_values(value, set.out);
}

}  // namespace
}  // namespace cairn
