// The hash at 4 N words at a time (N is 8 or 16). Lane l of vector r stands for word 4 l + r, so
// that of four neighbours each has its hash from the one before by a doubling and a sum. That of
// every fourth is a sum of eight fours' sums, each shifted by its distance, and sums double: of
// those over one, two, four fours, each is the one before plus the same from as many lanes earlier.
// So no group of words waits for the last one's hash. Written with the vector extensions of GCC and
// Clang; a file that instantiates it is compiled for one instruction set and includes nothing else.
// Everything is in an anonymous namespace, and no function of another header is called: code
// compiled for a wide machine must never be what the linker keeps for all.
#pragma once

#include <cstring>
#include <utility>

#include "base/chunk_rule.h"
#include "base/chunker_kernel.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set, see above

#define CAIRN_INLINE [[gnu::always_inline]] inline

typedef uint32_t HashWords4 __attribute__((vector_size(16)));
typedef uint32_t HashWords8 __attribute__((vector_size(32)));
typedef uint32_t HashWords16 __attribute__((vector_size(64)));
typedef float HashFloats8 __attribute__((vector_size(32)));
typedef float HashFloats16 __attribute__((vector_size(64)));

template <size_t N>
struct HashVector;
template <>
struct HashVector<8> {
  using Words = HashWords8;
  using Floats = HashFloats8;
};
template <>
struct HashVector<16> {
  using Words = HashWords16;
  using Floats = HashFloats16;
};

template <size_t N>
struct HashGroup {
  using Vector = typename HashVector<N>::Words;
  static constexpr uint64_t kWords = 4 * N;

  Vector v0, v1, v2, v3;

  CAIRN_INLINE static Vector mix(const Vector& words) {
    const Vector mixed = words * kWordFactor + kWordOffset;
    return mixed ^ (mixed >> kWordShift);
  }
  CAIRN_INLINE static Vector lower(const Vector& a, const Vector& b) { return a < b ? a : b; }
  CAIRN_INLINE Vector lowest() const { return lower(lower(v0, v1), lower(v2, v3)); }

  /// The first of `count` words, in their order, whose lane is at most `threshold`, or `count`.
  CAIRN_INLINE uint64_t first_low(uint64_t count, uint32_t threshold) const {
    for (uint64_t word = 0; word < count; ++word) {
      const Vector& vector = word % 4 == 0 ? v0 : word % 4 == 1 ? v1 : word % 4 == 2 ? v2 : v3;
      if (vector[word / 4] <= threshold) return word;
    }
    return count;
  }
};

/// Words from memory, dealt out to the lanes.
template <size_t N>
class WordLoader {
 public:
  using Vector = typename HashVector<N>::Words;

  CAIRN_INLINE static HashGroup<N> load(const uint8_t* words) {
    const Vector a = vector_at(words, 0), b = vector_at(words, 1);
    const Vector c = vector_at(words, 2), d = vector_at(words, 3);
    const Vector even_ab = evens(a, b), odd_ab = odds(a, b);
    const Vector even_cd = evens(c, d), odd_cd = odds(c, d);
    return {evens(even_ab, even_cd), evens(odd_ab, odd_cd), odds(even_ab, even_cd),
            odds(odd_ab, odd_cd)};
  }

 private:
  using All = decltype(std::make_index_sequence<N>());

  CAIRN_INLINE static Vector vector_at(const uint8_t* words, size_t number) {
    if constexpr (N == 8) {
      // AVX2 shuffles within 16 bytes: those that belong into the same half are loaded there.
      HashWords4 low, high;
      std::memcpy(&low, words + number * sizeof low, sizeof low);
      std::memcpy(&high, words + (number + 4) * sizeof high, sizeof high);
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
    } else {
      Vector loaded;
      std::memcpy(&loaded, words + number * sizeof loaded, sizeof loaded);
      return loaded;
    }
  }
  /// Where lane i of the even ones comes from, of both vectors one after the other.
  static constexpr size_t even(size_t i) {
    return N == 8 ? i % 4 / 2 * N + i / 4 * 4 + i % 2 * 2 : 2 * i;
  }
  template <size_t kOdd, size_t... kI>
  CAIRN_INLINE static Vector every_other(const Vector& a, const Vector& b,
                                         std::index_sequence<kI...>) {
    // As floats: AVX2 takes these from two vectors in one step, where integers need three.
    using Floats = typename HashVector<N>::Floats;
    return (Vector)__builtin_shufflevector((Floats)a, (Floats)b, (even(kI) + kOdd)...);
  }
  CAIRN_INLINE static Vector evens(const Vector& a, const Vector& b) {
    return every_other<0>(a, b, All());
  }
  CAIRN_INLINE static Vector odds(const Vector& a, const Vector& b) {
    return every_other<1>(a, b, All());
  }
};

template <size_t N>
class HashLanes {
 public:
  using Vector = typename HashVector<N>::Words;

  /// Begins behind a word of that hash: as if it were this word's mix, and no word before it.
  CAIRN_INLINE explicit HashLanes(uint32_t hash) {
    fours_[N - 1] = eights_[N - 1] = sixteens_[N - 1] = hashes_[N - 1] = hash;
  }

  /// The hashes at the next words.
  CAIRN_INLINE HashGroup<N> next(const HashGroup<N>& words) {
    using Group = HashGroup<N>;
    const Vector g0 = Group::mix(words.v0), g1 = Group::mix(words.v1);
    const Vector g2 = Group::mix(words.v2), g3 = Group::mix(words.v3);
    const Vector fours = (((g0 << 1) + g1) << 2) + ((g2 << 1) + g3);
    const Vector eights = fours + (earlier<1>(fours_, fours) << 4);
    const Vector sixteens = eights + (earlier<2>(eights_, eights) << 8);
    const Vector h3 = sixteens + (earlier<4>(sixteens_, sixteens) << 16);
    const Vector h0 = (earlier<1>(hashes_, h3) << 1) + g0;
    const Vector h1 = (h0 << 1) + g1;
    const Vector h2 = (h1 << 1) + g2;
    fours_ = fours;
    eights_ = eights;
    sixteens_ = sixteens;
    hashes_ = h3;
    return {h0, h1, h2, h3};
  }

 private:
  template <size_t kLanes, size_t... kI>
  CAIRN_INLINE static Vector joined(const Vector& before, const Vector& now,
                                    std::index_sequence<kI...>) {
    return __builtin_shufflevector(before, now, (N - kLanes + kI)...);
  }
  /// What lies that many lanes before each of `now`.
  template <size_t kLanes>
  CAIRN_INLINE static Vector earlier(const Vector& before, const Vector& now) {
    return joined<kLanes>(before, now, std::make_index_sequence<N>());
  }

  // Of the group before: the sums over so many words, up to every fourth of its words.
  Vector fours_{}, eights_{}, sixteens_{}, hashes_{};
};

/// The lower one of each lane and the one kStep further on, around the vector.
template <size_t N, size_t kStep, size_t... kI>
CAIRN_INLINE typename HashVector<N>::Words lower_ones(const typename HashVector<N>::Words& all,
                                                      std::index_sequence<kI...>) {
  return HashGroup<N>::lower(all, __builtin_shufflevector(all, all, ((kI + kStep) % N)...));
}

template <size_t N>
CAIRN_INLINE bool has_low(typename HashVector<N>::Words lanes, uint32_t threshold) {
  constexpr std::make_index_sequence<N> kAll;
  if constexpr (N == 16) lanes = lower_ones<N, 8>(lanes, kAll);
  lanes = lower_ones<N, 4>(lanes, kAll);
  lanes = lower_ones<N, 2>(lanes, kAll);
  lanes = lower_ones<N, 1>(lanes, kAll);
  return lanes[0] <= threshold;
}

/// Groups whose hashes are looked at together: most have none that is low enough.
constexpr uint64_t kBlockGroups = 8;

template <size_t N>
uint64_t find_in_lanes(const uint8_t* words, uint64_t count, uint32_t hash, uint32_t threshold) {
  using Vector = typename HashVector<N>::Words;
  constexpr uint64_t kWords = HashGroup<N>::kWords, kBlockWords = kBlockGroups * kWords;
  HashLanes<N> lanes(hash);
  uint64_t done = 0;
  for (; count - done >= kBlockWords; done += kBlockWords) {
    const HashLanes<N> before = lanes;
    const uint8_t* const block = words + done * kWordBytes;
    Vector lowest = lanes.next(WordLoader<N>::load(block)).lowest();
    for (uint64_t i = 1; i < kBlockGroups; ++i) {
      const HashGroup<N> group = WordLoader<N>::load(block + i * kWords * kWordBytes);
      lowest = HashGroup<N>::lower(lowest, lanes.next(group).lowest());
    }
    if (!has_low<N>(lowest, threshold)) continue;
    lanes = before;
    break;
  }
  for (; count - done >= kWords; done += kWords) {
    const HashGroup<N> hashes = lanes.next(WordLoader<N>::load(words + done * kWordBytes));
    if (has_low<N>(hashes.lowest(), threshold)) return done + hashes.first_low(kWords, threshold);
  }
  uint8_t last[kWords * kWordBytes] = {};
  std::memcpy(last, words + done * kWordBytes, (count - done) * kWordBytes);
  return done + lanes.next(WordLoader<N>::load(last)).first_low(count - done, threshold);
}

#undef CAIRN_INLINE

}  // namespace
}  // namespace cairn
