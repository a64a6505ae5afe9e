// BLAKE3-256, the digest of everything Cairn stores. One portable kernel is the truth; wider
// kernels (AVX2: 8 lanes, AVX-512: 16 lanes) are chosen at run time and give the same bytes.
// Specification: "BLAKE3: one function, fast everywhere", O'Connor, Aumasson, Neves,
// Wilcox-O'Hearn.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace cairn {

struct Digest {
  std::array<uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  std::string hex() const { return to_hex(bytes); }
  /// False unless `text` is 64 hexadecimal digits.
  bool parse(std::string_view text) { return from_hex(text, bytes); }
};

/// The BLAKE3 digest of `input`, any length. Threads: any.
Digest blake3(ByteSpan input);

/// Rows of a matrix, put one after the other: `rows` of `row_bytes`, each `stride_bytes` after the
/// last. REQUIRES: all rows can be read; row_bytes * rows < 2^64. The stride may be negative or 0.
struct DigestInput {
  const uint8_t* data = nullptr;  ///< the first row, borrowed for the call
  uint64_t row_bytes = 0;
  int64_t stride_bytes = 0;
  uint64_t rows = 1;
};

/// The digest of the rows put one after the other. Bytes are hashed where they lie, only a leaf
/// (1 KiB of the input) that crosses rows is copied: none if row_bytes is a multiple of 1024.
/// Threads: any.
Digest blake3_rows(const uint8_t* first, uint64_t row_bytes, int64_t stride_bytes, uint64_t rows);

/// out[i] = blake3(inputs[i]), hashing inputs beside each other so that short ones fill the lanes
/// too. REQUIRES: out.size() == inputs.size(). Threads: any.
void blake3_many(std::span<const ByteSpan> inputs, std::span<Digest> out);
/// out[i] = blake3_rows(inputs[i]). The same contract.
void blake3_many(std::span<const DigestInput> inputs, std::span<Digest> out);

/// The digest of bytes that arrive in parts. Threads: one at a time.
class Blake3 {
 public:
  void update(ByteSpan part);
  /// The digest of all parts so far; more parts may follow.
  Digest finish() const;

 private:
  static constexpr size_t kLeafBytes = 1024;
  static constexpr size_t kDepthMax = 54;  // 2^64 bytes of 1 KiB leaves

  /// The value of 2^k leaves that come next, as the `subtrees`-th of that size; merges what is
  /// whole.
  void push_subtree(const Digest& value, uint64_t subtrees);

  std::array<uint8_t, kLeafBytes> leaf_;  // the last leaf, whole or not: it may be the root
  size_t leaf_bytes_ = 0;
  uint64_t leaves_done_ = 0;
  std::array<Digest, kDepthMax> stack_;
  size_t stack_size_ = 0;
};

/// The kernels this machine can run, widest last ("portable", "avx2", "avx512").
std::span<const char* const> digest_kernels();
/// Uses one kernel of digest_kernels() from now on; for tests and benchmarks. False: no such
/// kernel.
bool use_digest_kernel(std::string_view name);

}  // namespace cairn

template <>
struct std::hash<cairn::Digest> {
  size_t operator()(const cairn::Digest& digest) const noexcept {
    return cairn::load_le<size_t>(digest.bytes);
  }
};
