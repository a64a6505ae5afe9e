// The larger items of quads: taken out from between the others, and put back. With AVX2 eight items
// at a time, by tables; in an anonymous namespace, see base/encodings/item_scalar.h.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "base/encodings/item_scalar.h"

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

/// Appends each of `count` residuals above 2, less 3, to `larger`; returns how many.
template <class U>
size_t squeeze_each(const uint8_t* residuals, size_t count, uint8_t* larger) {
  size_t found = 0;
  for (size_t at = 0; at < count * sizeof(U); at += sizeof(U)) {
    const U z = load<U>(residuals + at);
    store(larger + found * sizeof(U), static_cast<U>(z - 3));  // stays if z is one of them
    found += z >= 3;
  }
  return found;
}
/// Adds the next of `larger` to each 3 among `count` residuals; returns how many it took.
template <class U>
size_t stretch_each(uint8_t* residuals, size_t count, const uint8_t* larger) {
  size_t taken = 0;
  for (size_t at = 0; at < count * sizeof(U); at += sizeof(U)) {
    const U z = load<U>(residuals + at);
    const U next = load<U>(larger + taken * sizeof(U));  // may be in the slack
    store(residuals + at, static_cast<U>(z + (z == 3 ? next : U{0})));
    taken += z == 3;
  }
  return taken;
}

#if defined(__AVX2__)

/// For each set of 8 lanes: which lanes are in it, and the place of each lane in it.
struct LaneTables {
  static constexpr uint8_t kNone = 0x40;  // doubled, PSHUFB takes it for a zero
  alignas(8) uint8_t members[256][8];
  alignas(8) uint8_t places[256][8];

  constexpr LaneTables() : members(), places() {
    for (unsigned set = 0; set < 256; ++set) {
      unsigned size = 0;
      for (unsigned lane = 0; lane < 8; ++lane) {
        members[set][lane] = places[set][lane] = kNone;
      }
      for (unsigned lane = 0; lane < 8; ++lane) {
        if ((set >> lane & 1) == 0) continue;
        members[set][size] = static_cast<uint8_t>(lane);
        places[set][lane] = static_cast<uint8_t>(size++);
      }
    }
  }
};
constexpr LaneTables kLaneTables;

/// Items of 2 bytes.
[[gnu::always_inline]] inline __m128i picked_halves(__m128i items, const uint8_t* lanes) {
  const __m128i each = _mm_cvtsi64_si128(static_cast<long long>(load<uint64_t>(lanes)));
  const __m128i twice = _mm_unpacklo_epi8(each, each);
  const __m128i bytes = _mm_add_epi8(_mm_add_epi8(twice, twice), _mm_set1_epi16(0x0100));
  return _mm_shuffle_epi8(items, bytes);
}
/// Items of 4 bytes. A lane that is kNone holds what is not wanted.
[[gnu::always_inline]] inline __m256i picked_words(__m256i items, const uint8_t* lanes) {
  const __m128i each = _mm_cvtsi64_si128(static_cast<long long>(load<uint64_t>(lanes)));
  return _mm256_permutevar8x32_epi32(items, _mm256_cvtepu8_epi32(each));
}

inline size_t squeeze_halves(const uint8_t* residuals, size_t count, uint8_t* larger) {
  size_t found = 0;
  const __m128i three = _mm_set1_epi16(3);
  for (size_t i = 0; i < count; i += 8) {
    const __m128i z = load<__m128i>(residuals + 2 * i);
    const __m128i is_larger = _mm_cmpeq_epi16(_mm_max_epu16(z, three), z);
    const auto set =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(is_larger, _mm_setzero_si128())));
    store(larger + 2 * found, picked_halves(_mm_sub_epi16(z, three), kLaneTables.members[set]));
    found += static_cast<size_t>(__builtin_popcount(set));
  }
  return found;
}
inline size_t squeeze_words(const uint8_t* residuals, size_t count, uint8_t* larger) {
  size_t found = 0;
  const __m256i three = _mm256_set1_epi32(3);
  for (size_t i = 0; i < count; i += 8) {
    const __m256i z = load<__m256i>(residuals + 4 * i);
    const __m256i is_larger = _mm256_cmpeq_epi32(_mm256_max_epu32(z, three), z);
    const auto set = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(is_larger)));
    store(larger + 4 * found, picked_words(_mm256_sub_epi32(z, three), kLaneTables.members[set]));
    found += static_cast<size_t>(__builtin_popcount(set));
  }
  return found;
}

inline size_t stretch_halves(uint8_t* residuals, size_t count, const uint8_t* larger) {
  size_t taken = 0;
  for (size_t i = 0; i < count; i += 8) {
    const __m128i z = load<__m128i>(residuals + 2 * i);
    const __m128i is_larger = _mm_cmpeq_epi16(z, _mm_set1_epi16(3));
    const auto set =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(is_larger, _mm_setzero_si128())));
    const __m128i next = load<__m128i>(larger + 2 * taken);
    store(residuals + 2 * i, _mm_add_epi16(z, picked_halves(next, kLaneTables.places[set])));
    taken += static_cast<size_t>(__builtin_popcount(set));
  }
  return taken;
}
inline size_t stretch_words(uint8_t* residuals, size_t count, const uint8_t* larger) {
  size_t taken = 0;
  for (size_t i = 0; i < count; i += 8) {
    const __m256i z = load<__m256i>(residuals + 4 * i);
    const __m256i is_larger = _mm256_cmpeq_epi32(z, _mm256_set1_epi32(3));
    const auto set = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(is_larger)));
    const __m256i next = picked_words(load<__m256i>(larger + 4 * taken), kLaneTables.places[set]);
    store(residuals + 4 * i, _mm256_add_epi32(z, _mm256_and_si256(next, is_larger)));
    taken += static_cast<size_t>(__builtin_popcount(set));
  }
  return taken;
}

#endif

/// REQUIRES: `count` is a multiple of 8, slack at the end of `larger`.
template <class U>
size_t squeeze(const uint8_t* residuals, size_t count, uint8_t* larger) {
#if defined(__AVX2__)
  if constexpr (sizeof(U) == 2) return squeeze_halves(residuals, count, larger);
  if constexpr (sizeof(U) == 4) return squeeze_words(residuals, count, larger);
#endif
  return squeeze_each<U>(residuals, count, larger);
}
/// REQUIRES: as squeeze.
template <class U>
size_t stretch(uint8_t* residuals, size_t count, const uint8_t* larger) {
#if defined(__AVX2__)
  if constexpr (sizeof(U) == 2) return stretch_halves(residuals, count, larger);
  if constexpr (sizeof(U) == 4) return stretch_words(residuals, count, larger);
#endif
  return stretch_each<U>(residuals, count, larger);
}

}  // namespace
}  // namespace cairn
