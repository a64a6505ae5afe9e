// Some of the items of a chunk and of its bases, on which fit_replay tries what predicts them.
#pragma once

#include <span>
#include <vector>

#include "base/replay/replay.h"

namespace cairn {

/// Stripes from all over the chunk: neighbours may be alike (rows of an embedding that rest).
class ReplaySample {
 public:
  /// REQUIRES: as many items in each of `bases` as in `items`.
  ReplaySample(ReplayInput items, std::span<const ReplayInput> bases);

  size_t size() const { return size_; }
  ByteSpan items() const { return items_; }
  std::span<const ByteSpan> bases() const { return spans_; }
  ReplayDtype dtype() const { return dtype_; }
  ReplayDtype base_dtype(size_t base) const { return base_dtypes_[base]; }
  /// Exact, whatever the dtype.
  std::vector<float> item_floats() const;
  std::vector<float> base_floats(size_t base) const;

 private:
  size_t size_ = 0;
  ReplayDtype dtype_;
  std::vector<ReplayDtype> base_dtypes_;
  Bytes items_;
  std::vector<Bytes> base_bytes_;
  std::vector<ByteSpan> spans_;
};

/// About how many bits the residuals of `items` to `prediction` take, and how many are none.
struct ReplayCost {
  uint64_t bits = 0;
  size_t exact = 0;
};
ReplayCost replay_cost(ReplayDtype dtype, ByteSpan items, ByteSpan prediction);

}  // namespace cairn
