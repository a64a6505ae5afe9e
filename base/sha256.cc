#include "base/sha256.h"

#include <algorithm>

namespace cairn {

static constexpr std::array<uint32_t, 64> kRounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t load_big_endian(const uint8_t* bytes) {
  return __builtin_bswap32(load_le<uint32_t>({bytes, 4}));
}

static uint32_t mix(uint32_t x, int a, int b, int c) {
  return std::rotr(x, a) ^ std::rotr(x, b) ^ std::rotr(x, c);
}

void Sha256::take_block(const uint8_t* block) {
  std::array<uint32_t, 64> words;
  for (size_t i = 0; i < 16; ++i) words[i] = load_big_endian(block + 4 * i);
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t low = words[i - 15], high = words[i - 2];
    words[i] = words[i - 16] + (std::rotr(low, 7) ^ std::rotr(low, 18) ^ low >> 3) + words[i - 7] +
               (std::rotr(high, 17) ^ std::rotr(high, 19) ^ high >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t first = h + mix(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + kRounds[i] + words[i];
    const uint32_t second = mix(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const std::array<uint32_t, 8> after = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state_[i] += after[i];
}

void Sha256::update(ByteSpan bytes) {
  while (!bytes.empty()) {
    const size_t filled = bytes_ % block_.size();
    if (filled == 0 && bytes.size() >= block_.size()) {
      take_block(bytes.data());
      bytes_ += block_.size();
      bytes = bytes.subspan(block_.size());
      continue;
    }
    const size_t count = std::min(bytes.size(), block_.size() - filled);
    std::copy_n(bytes.data(), count, block_.data() + filled);
    bytes_ += count;
    bytes = bytes.subspan(count);
    if (filled + count == block_.size()) take_block(block_.data());
  }
}

Sha256Digest Sha256::finish() {
  const uint64_t bits = bytes_ * 8;
  static constexpr std::array<uint8_t, 64> kPadding = {0x80};
  const size_t filled = bytes_ % 64;
  update(ByteSpan(kPadding).first(filled < 56 ? 56 - filled : 120 - filled));
  std::array<uint8_t, 8> length;
  store_le(length, 0, __builtin_bswap64(bits));
  update(length);
  Sha256Digest digest;
  for (size_t i = 0; i < 8; ++i) store_le(digest, 4 * i, __builtin_bswap32(state_[i]));
  return digest;
}

Sha256Digest sha256(ByteSpan bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Sha256Digest hmac_sha256(ByteSpan key, ByteSpan message) {
  std::array<uint8_t, 64> inner{}, outer{};
  const Sha256Digest short_key = sha256(key);
  const ByteSpan used = key.size() > inner.size() ? ByteSpan(short_key) : key;
  std::copy(used.begin(), used.end(), inner.begin());
  outer = inner;
  for (uint8_t& byte : inner) byte ^= 0x36;
  for (uint8_t& byte : outer) byte ^= 0x5c;
  Sha256 first, second;
  first.update(inner);
  first.update(message);
  const Sha256Digest within = first.finish();
  second.update(outer);
  second.update(within);
  return second.finish();
}

}  // namespace cairn
