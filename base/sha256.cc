#include "base/sha256.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <vector>

#include "base/sha256_kernel.h"

namespace cairn {

static uint32_t load_big_endian(const uint8_t* bytes) {
  return __builtin_bswap32(load_le<uint32_t>({bytes, 4}));
}

static uint32_t mix(uint32_t x, int a, int b, int c) {
  return std::rotr(x, a) ^ std::rotr(x, b) ^ std::rotr(x, c);
}

static void take_block(uint32_t* state, const uint8_t* block) {
  std::array<uint32_t, 64> words;
  for (size_t i = 0; i < 16; ++i) words[i] = load_big_endian(block + 4 * i);
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t low = words[i - 15], high = words[i - 2];
    words[i] = words[i - 16] + (std::rotr(low, 7) ^ std::rotr(low, 18) ^ low >> 3) + words[i - 7] +
               (std::rotr(high, 17) ^ std::rotr(high, 19) ^ high >> 10);
  }
  std::array<uint32_t, 8> now;
  std::copy_n(state, now.size(), now.begin());
  auto& [a, b, c, d, e, f, g, h] = now;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t first =
        h + mix(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + kSha256Rounds[i] + words[i];
    const uint32_t second = mix(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c));
    now = {first + second, a, b, c, d + first, e, f, g};
  }
  for (size_t i = 0; i < now.size(); ++i) state[i] += now[i];
}

static void take_blocks(uint32_t* state, const uint8_t* blocks, size_t count) {
  for (; count > 0; --count, blocks += kSha256BlockBytes) take_block(state, blocks);
}

const Sha256Kernel kSha256Portable = {"portable", take_blocks};

#if defined(__x86_64__)
/// GCC 12 and older do not know it by name (CPUID, leaf 7: EBX bit 29). What else the kernel uses,
/// every processor with it has.
static bool has_sha_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
}
#endif

static std::vector<const Sha256Kernel*> runnable_kernels() {
  std::vector<const Sha256Kernel*> kernels = {&kSha256Portable};
#if defined(__x86_64__)
  if (has_sha_instructions()) kernels.push_back(&kSha256ShaNi);
#endif
  return kernels;
}

std::span<const Sha256Kernel* const> sha256_kernels() {
  static const std::vector<const Sha256Kernel*> kernels = runnable_kernels();
  return kernels;
}

Sha256::Sha256() : Sha256(*sha256_kernels().back()) {}

void Sha256::update(ByteSpan bytes) {
  while (!bytes.empty()) {
    const size_t filled = bytes_ % block_.size();
    size_t count = std::min(bytes.size(), block_.size() - filled);
    if (filled == 0 && bytes.size() >= block_.size()) {
      count = bytes.size() - bytes.size() % block_.size();
      kernel_.take(state_.data(), bytes.data(), count / block_.size());
    } else {
      std::copy_n(bytes.data(), count, block_.data() + filled);
      if (filled + count == block_.size()) kernel_.take(state_.data(), block_.data(), 1);
    }
    bytes_ += count;
    bytes = bytes.subspan(count);
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
