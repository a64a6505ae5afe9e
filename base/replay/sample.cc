#include "base/replay/sample.h"

#include <algorithm>
#include <bit>

#include "base/encodings/cast.h"
#include "base/replay/predictor.h"

namespace cairn {
namespace {

constexpr size_t kStripe = 256, kStripes = 32;

Bytes take_stripes(ReplayInput input, size_t items) {
  const size_t width = item_bytes(input.dtype);
  if (items <= kStripe * kStripes) return Bytes(input.bytes.begin(), input.bytes.end());
  Bytes bytes;
  bytes.reserve(kStripe * kStripes * width);
  for (size_t i = 0; i < kStripes; ++i) {
    const size_t first = (items - kStripe) * i / (kStripes - 1);
    append_bytes(bytes, input.bytes.subspan(first * width, kStripe * width));
  }
  return bytes;
}

std::vector<float> to_floats(ReplayDtype dtype, ByteSpan items) {
  std::vector<float> floats(items.size() / item_bytes(dtype));
  const MutableBytes to{static_cast<uint8_t*>(static_cast<void*>(floats.data())),
                        floats.size() * sizeof(float)};
  if (dtype == ReplayDtype::kF32) std::copy(items.begin(), items.end(), to.begin());
  if (dtype == ReplayDtype::kBf16) cast_items(Cast::kBf16ToF32, items, to);
  if (dtype == ReplayDtype::kF16) cast_items(Cast::kF16ToF32, items, to);
  return floats;
}

template <class U>
ReplayCost cost_of(ByteSpan items, ByteSpan prediction) {
  constexpr unsigned kBits = 8 * sizeof(U);
  const auto rank = [](U bits) {
    return static_cast<U>(bits >> (kBits - 1) != 0 ? ~bits : bits | U{1} << (kBits - 1));
  };
  ReplayCost cost;
  for (size_t at = 0; at < items.size(); at += sizeof(U)) {
    const U up = static_cast<U>(rank(load_le<U>(items, at)) - rank(load_le<U>(prediction, at)));
    const U distance = std::min(up, static_cast<U>(-up));
    cost.exact += distance == 0 ? 1 : 0;
    // A rare residual costs about its own bits and a few that say where it is.
    cost.bits += distance == 0 ? 0 : 2u + static_cast<unsigned>(std::bit_width(distance));
  }
  return cost;
}

}  // namespace

ReplaySample::ReplaySample(ReplayInput items, std::span<const ReplayInput> bases)
    : dtype_(items.dtype) {
  const size_t all = items.bytes.size() / item_bytes(items.dtype);
  items_ = take_stripes(items, all);
  size_ = items_.size() / item_bytes(items.dtype);
  for (const ReplayInput& base : bases) {
    base_dtypes_.push_back(base.dtype);
    base_bytes_.push_back(take_stripes(base, all));
  }
  spans_.assign(base_bytes_.begin(), base_bytes_.end());
}

std::vector<float> ReplaySample::item_floats() const { return to_floats(dtype_, items_); }
std::vector<float> ReplaySample::base_floats(size_t base) const {
  return to_floats(base_dtypes_[base], base_bytes_[base]);
}

ReplayCost replay_cost(ReplayDtype dtype, ByteSpan items, ByteSpan prediction) {
  return dtype == ReplayDtype::kF32 ? cost_of<uint32_t>(items, prediction)
                                    : cost_of<uint16_t>(items, prediction);
}

}  // namespace cairn
