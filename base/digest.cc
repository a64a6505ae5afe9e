#include "base/digest.h"

#include <algorithm>
#include <bit>

namespace cairn {

using Words = std::array<uint32_t, 8>;
static constexpr Words kIv = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                              0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
enum Flag : uint32_t { kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8 };

static void mix(std::array<uint32_t, 16>& v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

static Words compress(const Words& cv, const std::array<uint32_t, 16>& block, uint64_t counter,
                      uint32_t length, uint32_t flags) {
  static constexpr std::array<int, 16> kPermutation = {2, 6,  3,  10, 7, 0,  4,  13,
                                                       1, 11, 12, 5,  9, 14, 15, 8};
  std::array<uint32_t, 16> v = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7],
                                kIv[0], kIv[1], kIv[2], kIv[3], static_cast<uint32_t>(counter),
                                static_cast<uint32_t>(counter >> 32), length, flags};
  std::array<uint32_t, 16> m = block;
  for (int round = 0; round < 7; ++round) {
    mix(v, 0, 4, 8, 12, m[0], m[1]);
    mix(v, 1, 5, 9, 13, m[2], m[3]);
    mix(v, 2, 6, 10, 14, m[4], m[5]);
    mix(v, 3, 7, 11, 15, m[6], m[7]);
    mix(v, 0, 5, 10, 15, m[8], m[9]);
    mix(v, 1, 6, 11, 12, m[10], m[11]);
    mix(v, 2, 7, 8, 13, m[12], m[13]);
    mix(v, 3, 4, 9, 14, m[14], m[15]);
    std::array<uint32_t, 16> next;
    for (int i = 0; i < 16; ++i) next[i] = m[kPermutation[i]];
    m = next;
  }
  Words out;
  for (int i = 0; i < 8; ++i) out[i] = v[i] ^ v[i + 8];
  return out;
}

static Words hash_leaf(ByteSpan leaf, uint64_t counter, bool root) {
  Words cv = kIv;
  size_t offset = 0;
  do {
    std::array<uint32_t, 16> block{};
    const size_t bytes = std::min<size_t>(64, leaf.size() - offset);
    if (bytes > 0) std::memcpy(block.data(), leaf.data() + offset, bytes);
    uint32_t flags = offset == 0 ? kChunkStart : 0;
    if (offset + bytes == leaf.size()) flags |= kChunkEnd | (root ? kRoot : 0);
    cv = compress(cv, block, counter, static_cast<uint32_t>(bytes), flags);
    offset += bytes;
  } while (offset < leaf.size());
  return cv;
}

static Words hash_parent(const Words& left, const Words& right, bool root) {
  std::array<uint32_t, 16> block;
  std::copy(left.begin(), left.end(), block.begin());
  std::copy(right.begin(), right.end(), block.begin() + 8);
  return compress(kIv, block, 0, 64, kParent | (root ? kRoot : 0));
}

static Digest to_digest(const Words& words) {
  Digest digest;
  std::memcpy(digest.bytes.data(), words.data(), digest.bytes.size());
  return digest;
}

Blake3::Blake3() = default;

void Blake3::push_subtree(const Words& value, uint64_t leaves) {
  Words merged = value;
  for (; (leaves & 1) == 0; leaves >>= 1) merged = hash_parent(stack_[--stack_size_], merged, false);
  stack_[stack_size_++] = merged;
}

void Blake3::update(ByteSpan part) {
  while (!part.empty()) {
    if (leaf_bytes_ == kLeafBytes) {
      const Words value = hash_leaf(leaf_, leaves_done_, false);
      push_subtree(value, ++leaves_done_);
      leaf_bytes_ = 0;
    }
    const size_t bytes = std::min(kLeafBytes - leaf_bytes_, part.size());
    std::memcpy(leaf_.data() + leaf_bytes_, part.data(), bytes);
    leaf_bytes_ += bytes;
    part = part.subspan(bytes);
  }
}

Digest Blake3::finish() const {
  Words value = hash_leaf(ByteSpan(leaf_).first(leaf_bytes_), leaves_done_, stack_size_ == 0);
  for (size_t i = stack_size_; i > 0; --i) value = hash_parent(stack_[i - 1], value, i == 1);
  return to_digest(value);
}

Digest blake3(ByteSpan input) {
  Blake3 hasher;
  hasher.update(input);
  return hasher.finish();
}

void blake3_many(std::span<const ByteSpan> inputs, std::span<Digest> out) {
  for (size_t i = 0; i < inputs.size(); ++i) out[i] = blake3(inputs[i]);
}

}  // namespace cairn
