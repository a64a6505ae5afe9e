#include "store/gc/alone_share.h"

#include <algorithm>

#include "store/seal.h"

namespace cairn {

/// As a share of the chunk's bytes, where no keyframe tells.
static constexpr double kUnknownShare = 0.75;

static bool is_keyframe(const Copy& copy) {
  return copy.encoding == Encoding::kRaw || copy.encoding == Encoding::kPlanes;
}

static uint64_t scaled(uint64_t decoded, double share) {
  return static_cast<uint64_t>(share * double(decoded));
}

/// The same chunk of the save before: at the same place in a page of the same layout.
static const PlannedCopy* predecessor(const DecodePlan& plan, const PlannedCopy& copy) {
  const auto same = std::find_if(copy.bases.begin(), copy.bases.end(), [&](uint32_t base) {
    const PlannedCopy& below = plan.copies[base];
    return below.ref.slot == copy.ref.slot && below.copy.decoded_bytes == copy.copy.decoded_bytes;
  });
  return same == copy.bases.end() ? nullptr : &plan.copies[*same];
}

void AloneShares::note(const Copy& copy) {
  const ByteSpan parameters = codec_parameters(copy);
  if (copy.encoding != Encoding::kPlanes || parameters.empty()) return;
  Sum& sum = keyframes_[parameters.front()];
  sum.stored += copy.stored_bytes;
  sum.decoded += copy.decoded_bytes;
}

uint64_t AloneShares::stored_bytes(const DecodePlan& plan, uint32_t number) const {
  const Copy& copy = plan.copies[number].copy;
  const PlannedCopy* at = &plan.copies[number];
  while (at != nullptr && !is_keyframe(at->copy)) at = predecessor(plan, *at);
  if (at != nullptr && at->copy.decoded_bytes != 0) {
    return scaled(copy.decoded_bytes, double(at->copy.stored_bytes) / at->copy.decoded_bytes);
  }
  const ByteSpan parameters = codec_parameters(copy);
  const auto known = parameters.empty() ? keyframes_.end() : keyframes_.find(parameters.front());
  if (known == keyframes_.end() || known->second.decoded == 0) {
    return scaled(copy.decoded_bytes, kUnknownShare);
  }
  const auto [stored, decoded] = known->second;
  return scaled(copy.decoded_bytes, double(stored) / double(decoded));
}

}  // namespace cairn
