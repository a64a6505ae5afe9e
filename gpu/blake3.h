// The arithmetic of BLAKE3 for one thread: sixteen words of a block and eight of a value in
// registers. For kernels. Specification: as base/digest.h.
#pragma once

#include "base/digest_kernel.h"
#include "gpu/kernel.h"

namespace cairn::gpu {

/// Where `word` of the block lies in `round`.
constexpr unsigned word_at(unsigned round, unsigned word) {
  for (; round > 0; --round) word = kDigestPermutation[word];
  return word;
}

template <unsigned kBits>
CAIRN_DEVICE unsigned rotated(unsigned x) {
  return __funnelshift_r(x, x, kBits);
}

CAIRN_DEVICE void mix(unsigned& a, unsigned& b, unsigned& c, unsigned& d, unsigned x, unsigned y) {
  a = a + b + x;
  d = rotated<16>(d ^ a);
  c = c + d;
  b = rotated<12>(b ^ c);
  a = a + b + y;
  d = rotated<8>(d ^ a);
  c = c + d;
  b = rotated<7>(b ^ c);
}

template <unsigned kRound>
CAIRN_DEVICE void mix_round(unsigned (&v)[16], const unsigned (&m)[16]) {
  mix(v[0], v[4], v[8], v[12], m[word_at(kRound, 0)], m[word_at(kRound, 1)]);
  mix(v[1], v[5], v[9], v[13], m[word_at(kRound, 2)], m[word_at(kRound, 3)]);
  mix(v[2], v[6], v[10], v[14], m[word_at(kRound, 4)], m[word_at(kRound, 5)]);
  mix(v[3], v[7], v[11], v[15], m[word_at(kRound, 6)], m[word_at(kRound, 7)]);
  mix(v[0], v[5], v[10], v[15], m[word_at(kRound, 8)], m[word_at(kRound, 9)]);
  mix(v[1], v[6], v[11], v[12], m[word_at(kRound, 10)], m[word_at(kRound, 11)]);
  mix(v[2], v[7], v[8], v[13], m[word_at(kRound, 12)], m[word_at(kRound, 13)]);
  mix(v[3], v[4], v[9], v[14], m[word_at(kRound, 14)], m[word_at(kRound, 15)]);
}

/// The value of a node, on its way.
struct NodeValue {
  unsigned words[8];
};

CAIRN_DEVICE NodeValue start_value() {
  return {{kDigestStart[0], kDigestStart[1], kDigestStart[2], kDigestStart[3], kDigestStart[4],
           kDigestStart[5], kDigestStart[6], kDigestStart[7]}};
}

CAIRN_DEVICE void compress(NodeValue& value, const unsigned (&block)[16], uint64_t counter,
                           unsigned bytes, unsigned flags) {
  unsigned(&h)[8] = value.words;
  unsigned v[16] = {h[0],
                    h[1],
                    h[2],
                    h[3],
                    h[4],
                    h[5],
                    h[6],
                    h[7],
                    kDigestStart[0],
                    kDigestStart[1],
                    kDigestStart[2],
                    kDigestStart[3],
                    static_cast<unsigned>(counter),
                    static_cast<unsigned>(counter >> 32),
                    bytes,
                    flags};
  mix_round<0>(v, block);
  mix_round<1>(v, block);
  mix_round<2>(v, block);
  mix_round<3>(v, block);
  mix_round<4>(v, block);
  mix_round<5>(v, block);
  mix_round<6>(v, block);
  for (unsigned i = 0; i < 8; ++i) h[i] = v[i] ^ v[i + 8];
}

CAIRN_DEVICE void set_words(unsigned (&block)[16], unsigned quad, const uint4& words) {
  block[4 * quad] = words.x;
  block[4 * quad + 1] = words.y;
  block[4 * quad + 2] = words.z;
  block[4 * quad + 3] = words.w;
}

CAIRN_DEVICE void store_value(const NodeValue& value, uint8_t* to) {
  auto* quads = reinterpret_cast<uint4*>(to);
  const unsigned(&h)[8] = value.words;
  quads[0] = make_uint4(h[0], h[1], h[2], h[3]);
  quads[1] = make_uint4(h[4], h[5], h[6], h[7]);
}

CAIRN_DEVICE void copy_value(const uint8_t* from, uint8_t* to) {
  const auto* quads = reinterpret_cast<const uint4*>(from);
  const uint4 low = quads[0], high = quads[1];
  reinterpret_cast<uint4*>(to)[0] = low;
  reinterpret_cast<uint4*>(to)[1] = high;
}

}  // namespace cairn::gpu
