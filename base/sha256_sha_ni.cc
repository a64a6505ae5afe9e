// The SHA-256 kernel of processors with instructions for it (Intel's SHA extensions), compiled for
// them; called only where the processor has them.
#include <immintrin.h>

#include "base/sha256_kernel.h"

namespace cairn {
namespace {

// The instructions want the state as two vectors, from the highest word on: abef and cdgh.

/// The next four words of the schedule, out of the sixteen before.
__m128i next_words(__m128i sixteen, __m128i twelve, __m128i eight, __m128i four) {
  const __m128i seven = _mm_alignr_epi8(four, eight, 4);
  return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(sixteen, twelve), seven), four);
}

__m128i load(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }

void take_block(__m128i& abef, __m128i& cdgh, const uint8_t* block) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i abef_before = abef, cdgh_before = cdgh;
  __m128i words[4];
  for (int i = 0; i < 4; ++i) words[i] = _mm_shuffle_epi8(load(block + 16 * i), swap);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    __m128i& now = words[i % 4];
    if (i >= 4) now = next_words(now, words[(i + 1) % 4], words[(i + 2) % 4], words[(i + 3) % 4]);
    const __m128i fed = _mm_add_epi32(now, load(kSha256Rounds + 4 * i));
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, fed);
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(fed, 0x0e));
  }
  abef = _mm_add_epi32(abef, abef_before);
  cdgh = _mm_add_epi32(cdgh, cdgh_before);
}

void take(uint32_t* state, const uint8_t* blocks, size_t count) {
  const __m128i cdab = _mm_shuffle_epi32(load(state), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(load(state + 4), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; count > 0; --count, blocks += 64) take_block(abef, cdgh, blocks);
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  auto* const out = reinterpret_cast<__m128i*>(state);
  _mm_storeu_si128(out, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(out + 1, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace

const Sha256Kernel kSha256ShaNi = {"sha-ni", take};

}  // namespace cairn
