#include "lib/restore_cost.h"

namespace cairn {

// Nanoseconds a byte and core (docs/REDUCTIONS.md says how they were measured): what counts is how
// they compare.
static constexpr double kReadNs = 0.4;       // of stored bytes
static constexpr double kSparseReadNs = 20;  // sparse copies take their time where they change
static constexpr double kDeliverNs = 0.8;    // of what a load hands out: digest, copy, fresh memory
static double decode_ns(Encoding encoding) {
  switch (encoding) {
    case Encoding::kRaw:
    case Encoding::kZero:
      return 0.1;
    case Encoding::kZstd:
      return 1.0;
    case Encoding::kPlanes:
      return 0.6;
    case Encoding::kDelta:
      return 0.85;  // more of its planes are coded than a keyframe's
    case Encoding::kSparse:
      return 0.08;
    case Encoding::kDerived:
      return 0.2;
    case Encoding::kReplay:
      return 0.4;
  }
  return 1.0;
}

double restore_seconds(HeldAs held, const EncodingUsage& copies) {
  if (!held) return 0;
  const double read_ns = held == Encoding::kSparse ? kSparseReadNs : kReadNs;
  return 1e-9 * (read_ns * static_cast<double>(copies.stored_bytes) +
                 decode_ns(*held) * static_cast<double>(copies.decoded_bytes));
}

double restore_seconds(const Copy& copy) {
  return restore_seconds(copy.encoding, EncodingUsage::of(copy));
}

double deliver_seconds(uint64_t bytes) { return 1e-9 * kDeliverNs * static_cast<double>(bytes); }

double keyframe_seconds(uint64_t bytes) {
  constexpr double kPlanesRatio = 0.75;
  return 1e-9 * static_cast<double>(bytes) *
         (kReadNs * kPlanesRatio + decode_ns(Encoding::kPlanes));
}

static double keyframe_load_seconds(uint64_t bytes) {
  return keyframe_seconds(bytes) + deliver_seconds(bytes);
}

LoadTime load_time(std::string_view class_name, HeldAs held, const EncodingUsage& usage) {
  const uint64_t handed_out = class_name == kHistoryClass ? 0 : usage.decoded_bytes;
  return {restore_seconds(held, usage) + deliver_seconds(handed_out),
          keyframe_load_seconds(handed_out)};
}

double restore_cost(const UsageByEncoding& read, uint64_t bytes) {
  if (read.empty() || bytes == 0) return 1;
  double seconds = deliver_seconds(bytes);
  for (const auto& [held, usage] : read) seconds += restore_seconds(held, usage);
  return seconds / keyframe_load_seconds(bytes);
}

Result<double> restore_cost(Checkpoint& checkpoint) {
  UsageByEncoding copies;
  if (checkpoint.table().closure.empty()) return 1.0;
  const auto read = [&](size_t number) -> Result<Locator> {
    CAIRN_TRY(const auto page, checkpoint.page(number));
    return page->locator;
  };
  const auto count = [&](const CopyRef&, const Copy& copy) -> Status {
    copies[copy.encoding] += EncodingUsage::of(copy);
    return {};
  };
  CAIRN_CHECK(for_each_needed(checkpoint.table(), read, count));
  return restore_cost(copies, loaded_bytes(checkpoint.tag().facts));
}

uint64_t loaded_bytes(const TagFacts& facts) {
  return facts.logical_bytes + facts.attachment_bytes;
}

}  // namespace cairn
