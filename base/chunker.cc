#include "base/chunker.h"

#include <algorithm>
#include <atomic>

namespace cairn {

static std::vector<const ChunkerKernel*> runnable_kernels() {
  std::vector<const ChunkerKernel*> kernels = {&kChunkerPortable};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) kernels.push_back(&kChunkerAvx2);
  if (__builtin_cpu_supports("avx512f")) kernels.push_back(&kChunkerAvx512);
#endif
  return kernels;
}

std::span<const ChunkerKernel* const> chunker_kernels() {
  static const std::vector<const ChunkerKernel*> kernels = runnable_kernels();
  return kernels;
}

static std::atomic<const ChunkerKernel*>& chosen_kernel() {
  static std::atomic<const ChunkerKernel*> chosen = chunker_kernels().back();
  return chosen;
}

void use_chunker_kernel(const ChunkerKernel* kernel) {
  chosen_kernel().store(kernel == nullptr ? chunker_kernels().back() : kernel,
                        std::memory_order_relaxed);
}

/// The hash at the word before, which is all that the words before have to say.
static uint32_t hash_before(ByteSpan content, uint64_t word) {
  uint32_t hash = 0;
  for (uint64_t i = word - std::min<uint64_t>(word, kHashWords); i < word; ++i) {
    hash = next_hash(hash, load_le<uint32_t>(content, i * kWordBytes));
  }
  return hash;
}

/// The first of the words from `from` to `to` (exclusive) behind which a chunk may end, or `to`.
static uint64_t find_low(ByteSpan content, uint64_t from, uint64_t to, uint32_t threshold) {
  if (from >= to) return to;
  const ChunkerKernel& kernel = *chosen_kernel().load(std::memory_order_relaxed);
  return from + kernel.find(content.data() + from * kWordBytes, to - from,
                            hash_before(content, from), threshold);
}

std::vector<uint64_t> cut_content(ByteSpan content, const ChunkRule& rule) {
  std::vector<uint64_t> ends;
  const uint64_t bytes = content.size(), words = bytes / kWordBytes;
  for (uint64_t begin = 0; begin < bytes; begin = ends.back()) {
    const uint64_t left = bytes - begin, last = begin + std::min(left, rule.max_bytes);
    const uint64_t to = std::min(words, last / kWordBytes);
    // No cut is sought where it would leave less than the least: a quarter is never looked at.
    const uint64_t from = left <= rule.min_bytes ? to : (begin + rule.min_bytes) / kWordBytes - 1;
    const uint64_t found = find_low(content, from, to, rule.threshold);
    ends.push_back(found < to ? (found + 1) * kWordBytes : last);
  }
  return ends;
}

std::vector<uint64_t> find_candidates(ByteSpan content, uint64_t first_word, uint64_t count,
                                      uint32_t threshold) {
  std::vector<uint64_t> ends;
  const uint64_t to = first_word + count;
  for (uint64_t from = first_word;;) {
    const uint64_t found = find_low(content, from, to, threshold);
    if (found == to) return ends;
    from = found + 1;
    ends.push_back(from * kWordBytes);
  }
}

std::vector<uint64_t> cut_at_candidates(std::span<const uint64_t> candidates, uint64_t bytes,
                                        const ChunkRule& rule) {
  std::vector<uint64_t> ends;
  auto next = candidates.begin();
  for (uint64_t begin = 0; begin < bytes; begin = ends.back()) {
    const uint64_t left = bytes - begin, last = begin + std::min(left, rule.max_bytes);
    next = std::lower_bound(next, candidates.end(), begin + std::min(left, rule.min_bytes));
    ends.push_back(next != candidates.end() && *next <= last ? *next : last);
  }
  return ends;
}

}  // namespace cairn
