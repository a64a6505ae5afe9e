// How small a Huffman code would make bytes, from a sample of them; in integers, so that every
// machine makes the same choices. Private to base/encodings and its tests.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/encodings/byte_run.h"

namespace cairn {

/// Logarithms and entropies are in units of 1/kBit of a bit.
inline constexpr uint64_t kBit = 1024;

/// log2(value), rounded down a little. REQUIRES: value > 0.
uint64_t log2_bits(uint64_t value);

/// The entropy of `total` things of which `parts` are alike each: total times that of one.
uint64_t entropy_bits(std::span<const uint32_t> parts, uint64_t total);

struct ByteCounts {
  std::array<uint32_t, 256> of{};
  uint32_t total = 0;
};

/// Adds the bytes to `counts`.
void count_bytes(ByteSpan bytes, ByteCounts& counts);
/// Of long runs counts some strips that are spread evenly.
ByteCounts sample_bytes(ByteSpan bytes);

uint8_t most_frequent(const ByteCounts& counts);

/// How a run like the sample is best coded, and how long it will be.
struct RunEstimate {
  RunCoding coding = RunCoding::kPlain;
  uint64_t bytes = 0;
};
/// A run in which the sample found only one byte is taken for one that has a few others.
RunEstimate estimate_run(const ByteCounts& sample, uint64_t bytes, Effort effort);

/// The same of a run in a code, or plain, of which the entropy (of all of it, in units of 1/kBit)
/// and the share of the most frequent byte (in kBit) are known.
RunEstimate estimate_coded(uint64_t entropy, uint64_t top_share, uint64_t header_bytes,
                           uint64_t bytes, Effort effort);
/// The same of the gaps between `others` among `bytes`.
RunEstimate estimate_gaps(uint64_t others, uint64_t bytes, Effort effort);

}  // namespace cairn
