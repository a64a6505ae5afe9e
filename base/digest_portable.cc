// The portable BLAKE3 kernel, one lane: short, and the truth that wider kernels are tested against.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/digest_kernel.h"

namespace cairn {

using State = std::array<uint32_t, 16>;

static void mix(State& v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

static State permuted(const State& words) {
  State next;
  for (size_t i = 0; i < 16; ++i) next[i] = words[kDigestPermutation[i]];
  return next;
}

static void compress(uint32_t* value, State words, uint64_t counter, uint32_t bytes,
                     uint32_t flags) {
  State v;
  std::copy_n(value, kDigestWords, v.begin());
  std::copy_n(kDigestStart, 4, v.begin() + 8);
  v[12] = static_cast<uint32_t>(counter);
  v[13] = static_cast<uint32_t>(counter >> 32);
  v[14] = bytes;
  v[15] = flags;
  for (int round = 0; round < 7; ++round) {
    for (int i = 0; i < 4; ++i) mix(v, i, 4 + i, 8 + i, 12 + i, words[2 * i], words[2 * i + 1]);
    for (int i = 0; i < 4; ++i) {
      mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, words[8 + 2 * i],
          words[9 + 2 * i]);
    }
    words = permuted(words);
  }
  for (size_t i = 0; i < kDigestWords; ++i) value[i] = v[i] ^ v[i + 8];
}

static void hash_lane(const DigestLane* lane, size_t /*count*/) {
  std::array<uint32_t, kDigestWords> value;
  std::copy_n(kDigestStart, kDigestWords, value.begin());
  uint32_t done = 0;
  uint32_t flags = lane->flags | lane->first_flags;
  do {
    State words{};
    const uint32_t bytes = std::min<uint32_t>(kDigestBlockBytes, lane->bytes - done);
    if (bytes > 0) std::memcpy(words.data(), lane->data + done, bytes);
    done += bytes;
    if (done == lane->bytes) flags |= lane->last_flags;
    compress(value.data(), words, lane->counter, bytes, flags);
    flags = lane->flags;
  } while (done < lane->bytes);
  std::memcpy(lane->value, value.data(), kDigestValueBytes);
}

const DigestKernel kDigestPortable = {"portable", 1, hash_lane};

}  // namespace cairn
