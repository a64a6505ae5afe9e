#include "base/encodings/entropy.h"

#include <algorithm>

namespace cairn {

static constexpr size_t kSampleBytes = 4096;
static constexpr size_t kStripBytes = 256;
static constexpr uint64_t kFrameBytes = 18;  // headers of a run, its frame, block and literals

static constexpr uint64_t kGapsHeaderBytes = 8;
static constexpr uint64_t kGapTableBytes = 40;  // of the code of gaps

static constexpr unsigned kFractionBits = 10;
/// log2(1 + i / 1024), one binary digit after the other.
static constexpr auto kFractions = [] {
  std::array<uint16_t, 1 << kFractionBits> fractions{};
  for (uint64_t i = 0; i < fractions.size(); ++i) {
    uint64_t x = (fractions.size() + i) << (30 - kFractionBits);
    for (uint64_t digit = kBit / 2; digit > 0; digit /= 2) {
      x = x * x >> 30;
      if (x < uint64_t{2} << 30) continue;
      x /= 2;
      fractions[i] = static_cast<uint16_t>(fractions[i] + digit);
    }
  }
  return fractions;
}();

uint64_t log2_bits(uint64_t value) {
  const auto whole = static_cast<unsigned>(std::bit_width(value)) - 1;
  const uint64_t scaled =
      whole <= kFractionBits ? value << (kFractionBits - whole) : value >> (whole - kFractionBits);
  return whole * kBit + kFractions[scaled - kFractions.size()];
}

uint64_t entropy_bits(std::span<const uint32_t> parts, uint64_t total) {
  if (total == 0) return 0;
  uint64_t bits = total * log2_bits(total);
  for (const uint64_t part : parts) {
    if (part > 0) bits -= std::min(bits, part * log2_bits(part));
  }
  return bits;
}

void count_bytes(ByteSpan bytes, ByteCounts& counts) {
  // Four tables: equal neighbours would wait for each other's addition.
  std::array<std::array<uint32_t, 256>, 4> tables{};
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    for (size_t k = 0; k < 4; ++k) ++tables[k][bytes[i + k]];
  }
  for (; i < bytes.size(); ++i) ++tables[0][bytes[i]];
  for (size_t value = 0; value < 256; ++value) {
    for (const auto& table : tables) counts.of[value] += table[value];
  }
  counts.total += static_cast<uint32_t>(bytes.size());
}

ByteCounts sample_bytes(ByteSpan bytes) {
  ByteCounts counts;
  if (bytes.size() <= 2 * kSampleBytes) {
    count_bytes(bytes, counts);
    return counts;
  }
  constexpr size_t kStrips = kSampleBytes / kStripBytes;
  const size_t apart = (bytes.size() - kStripBytes) / (kStrips - 1);
  Bytes sample;
  sample.reserve(kSampleBytes);
  for (size_t strip = 0; strip < kStrips; ++strip) {
    append_bytes(sample, bytes.subspan(strip * apart, kStripBytes));
  }
  count_bytes(sample, counts);
  return counts;
}

uint8_t most_frequent(const ByteCounts& counts) {
  return static_cast<uint8_t>(std::max_element(counts.of.begin(), counts.of.end()) -
                              counts.of.begin());
}

/// Whether it is worth the time of coding and decoding.
static bool is_worth_it(uint64_t coded, uint64_t plain, Effort effort) {
  return effort == Effort::kFast ? coded * 10 <= plain * 7 : coded * 64 <= plain * 63;
}

RunEstimate estimate_coded(uint64_t entropy, uint64_t top_share, uint64_t header_bytes,
                           uint64_t bytes, Effort effort) {
  // No code is shorter than a bit. So a byte that is very frequent costs 1 and not what it should;
  // what tells it from the others is then paid twice.
  if (top_share * 10 >= kBit * 4 && top_share < kBit) {
    const uint64_t others = kBit - top_share;
    const uint64_t choice = (top_share * (10 * kBit - log2_bits(top_share)) +
                             others * (10 * kBit - log2_bits(others))) /
                            kBit;
    entropy = entropy - std::min(entropy, choice * bytes) + bytes * kBit;
  }
  const uint64_t coded = entropy / (8 * kBit) + header_bytes + kFrameBytes;
  if (is_worth_it(coded, bytes, effort)) return {RunCoding::kZstd, coded};
  return {RunCoding::kPlain, bytes + 1};
}

RunEstimate estimate_gaps(uint64_t others, uint64_t bytes, Effort effort) {
  if (others == 0) return {};
  const std::array<uint32_t, 2> parts = {static_cast<uint32_t>(others),
                                         static_cast<uint32_t>(bytes - others)};
  // Where they are long, gaps take more than a byte each and are as good as plain.
  const uint64_t long_ones = (bytes - others) / 255 / 4;
  RunEstimate estimate = estimate_coded(entropy_bits(parts, bytes), others * kBit / bytes,
                                        kGapTableBytes, others, effort);
  if (estimate.coding == RunCoding::kPlain) estimate.bytes += std::min(long_ones, others);
  return estimate;
}

/// How many values there are.
static uint64_t count_values(const ByteCounts& counts) {
  return 256 - static_cast<uint64_t>(std::count(counts.of.begin(), counts.of.end(), 0u));
}

/// Of all bytes but the most frequent one.
static RunEstimate estimate_others(const ByteCounts& sample, uint8_t top, uint64_t bytes,
                                   Effort effort) {
  ByteCounts rest = sample;
  rest.total -= rest.of[top];
  rest.of[top] = 0;
  if (rest.total == 0) return {RunCoding::kPlain, 2};
  const uint64_t most = rest.of[most_frequent(rest)];
  return estimate_coded(entropy_bits(rest.of, rest.total) * bytes / rest.total,
                        most * kBit / rest.total, count_values(rest) * 3 / 8, bytes, effort);
}

RunEstimate estimate_run(const ByteCounts& sample, uint64_t bytes, Effort effort) {
  if (bytes == 0) return {};
  const uint8_t top = most_frequent(sample);
  // With a code of less than a bit out of reach, gaps are smaller, and faster.
  if (uint64_t{sample.of[top]} * 4 >= uint64_t{sample.total} * 3) {
    const uint64_t others = (sample.total - sample.of[top]) * bytes / sample.total;
    const uint64_t coded = kGapsHeaderBytes + estimate_gaps(others, bytes, effort).bytes +
                           estimate_others(sample, top, others, effort).bytes;
    if (coded < bytes) return {RunCoding::kGaps, coded};
    return {RunCoding::kPlain, bytes + 1};
  }
  const uint64_t values = count_values(sample);
  // A sample looks more orderly than what it is taken from: by (values - 1) / 2 ln 2 bits in all.
  const uint64_t entropy = entropy_bits(sample.of, sample.total) + (values - 1) * (kBit * 72 / 100);
  return estimate_coded(entropy * bytes / sample.total, sample.of[top] * kBit / sample.total,
                        values * 3 / 8, bytes, effort);
}

}  // namespace cairn
