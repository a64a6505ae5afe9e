// Which of many items are others than the common one, with AVX2; in an anonymous namespace, see
// base/encodings/item_scalar.h.
#pragma once

#include "base/encodings/item_scalar.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace cairn {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

[[gnu::always_inline]] inline uint32_t alike_of_32(const uint8_t* items, uint8_t common) {
  const __m256i all = _mm256_set1_epi8(static_cast<char>(common));
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(load<__m256i>(items), all)));
}
[[gnu::always_inline]] inline uint32_t alike_of_32(const uint8_t* items, uint16_t common) {
  const __m256i all = _mm256_set1_epi16(static_cast<int16_t>(common));
  const __m256i low = _mm256_cmpeq_epi16(load<__m256i>(items), all);
  const __m256i high = _mm256_cmpeq_epi16(load<__m256i>(items + 32), all);
  // Packing works in halves of vectors; the middle quarters come out in each other's place.
  const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
  return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
}
[[gnu::always_inline]] inline uint32_t alike_of_32(const uint8_t* items, uint32_t common) {
  const __m256i all = _mm256_set1_epi32(static_cast<int32_t>(common));
  uint32_t mask = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const __m256i alike = _mm256_cmpeq_epi32(load<__m256i>(items + 32 * i), all);
    const int of_8 = _mm256_movemask_ps(_mm256_castsi256_ps(alike));
    mask |= static_cast<uint32_t>(of_8) << 8 * i;
  }
  return mask;
}
[[gnu::always_inline]] inline uint32_t alike_of_32(const uint8_t* items, uint64_t common) {
  const __m256i all = _mm256_set1_epi64x(static_cast<int64_t>(common));
  uint32_t mask = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const __m256i alike = _mm256_cmpeq_epi64(load<__m256i>(items + 32 * i), all);
    const int of_4 = _mm256_movemask_pd(_mm256_castsi256_pd(alike));
    mask |= static_cast<uint32_t>(of_4) << 4 * i;
  }
  return mask;
}

/// A bit for each byte that is all bits, none for one that is 0.
[[gnu::always_inline]] inline uint64_t bits_of_32(__m256i bytes) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
}

/// The numbers of the bits that are set, counted from `first`; returns how many. Writes eight where
/// there are fewer: a branch for each would be guessed wrong half of the time.
[[gnu::always_inline]] inline size_t append_numbers(size_t first, uint64_t mask,
                                                    uint16_t* numbers) {
  const auto count = static_cast<size_t>(__builtin_popcountll(mask));
  for (size_t done = 0;; numbers += 8) {
    for (unsigned i = 0; i < 8; ++i) {
      numbers[i] = static_cast<uint16_t>(first + _tzcnt_u64(mask));
      mask = _blsr_u64(mask);
    }
    done += 8;
    if (count <= done) return count;
  }
}

}  // namespace
}  // namespace cairn

#endif
