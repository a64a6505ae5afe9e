#include "base/stream_copy.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/pipeline.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace cairn {

// Threads take pieces until there are none: one that the system holds up holds up nobody else.
static constexpr uint64_t kPieceBytes = 1 << 20;
static constexpr uint64_t kLineBytes = 64;

static std::vector<MemoryMove> pieces_of(std::span<const MemoryMove> moves) {
  std::vector<MemoryMove> pieces;
  for (const MemoryMove& move : moves) {
    for (uint64_t begin = 0; begin < move.bytes; begin += kPieceBytes) {
      pieces.push_back(
          {move.target + begin, move.source + begin, std::min(kPieceBytes, move.bytes - begin)});
    }
  }
  return pieces;
}

#if defined(__x86_64__)
/// Whole lines of an aligned target. Returns what it copied.
static uint64_t stream_lines(uint8_t* target, const uint8_t* source, uint64_t bytes) {
  static constexpr uint64_t kAhead = 512;
  uint64_t at = 0;
  for (; at + kLineBytes <= bytes; at += kLineBytes) {
    _mm_prefetch(reinterpret_cast<const char*>(source + at + kAhead), _MM_HINT_NTA);
    const auto* from = reinterpret_cast<const __m128i*>(source + at);
    auto* to = reinterpret_cast<__m128i*>(target + at);
    const __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
    const __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  _mm_sfence();
  return at;
}
#else
static uint64_t stream_lines(uint8_t*, const uint8_t*, uint64_t) { return 0; }
#endif

static void copy(const MemoryMove& move) {
  const uint64_t past_line = reinterpret_cast<uintptr_t>(move.target) % kLineBytes;
  const uint64_t head = std::min((kLineBytes - past_line) % kLineBytes, move.bytes);
  std::memcpy(move.target, move.source, head);
  const uint64_t done =
      head + stream_lines(move.target + head, move.source + head, move.bytes - head);
  std::memcpy(move.target + done, move.source + done, move.bytes - done);
}

void stream_copy(std::span<const MemoryMove> moves, unsigned threads) {
  const std::vector<MemoryMove> pieces = pieces_of(moves);
  // Copying cannot fail.
  (void)parallel_for(pieces.size(), threads, [&](uint64_t index) -> Status {
    copy(pieces[index]);
    return {};
  });
}

}  // namespace cairn
