// The kernel that is the truth: the definition of the hash, a word at a time.
#include <cstring>

#include "base/chunk_rule.h"
#include "base/chunker_kernel.h"

namespace cairn {

static uint64_t find(const uint8_t* words, uint64_t count, uint32_t hash, uint32_t threshold) {
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, words + i * kWordBytes, sizeof word);
    hash = next_hash(hash, word);
    if (hash <= threshold) return i;
  }
  return count;
}

const ChunkerKernel kChunkerPortable = {"portable", find};

}  // namespace cairn
