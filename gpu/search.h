// Finding which range holds a place. For kernels.
#pragma once

#include "gpu/kernel.h"

namespace cairn::gpu {

/// The number of the last of `count` ranges that begins at or before `place`; begin(i) is where
/// range i begins. REQUIRES: begin(0) <= place, begins in order.
template <class Begin>
CAIRN_DEVICE uint64_t find_range_by(uint64_t count, uint64_t place, const Begin& begin) {
  uint64_t low = 0, high = count;
  while (high - low > 1) {
    const uint64_t middle = (low + high) / 2;
    (begin(middle) <= place ? low : high) = middle;
  }
  return low;
}

CAIRN_DEVICE uint64_t find_range(const uint64_t* first, uint64_t count, uint64_t place) {
  return find_range_by(count, place, [&](uint64_t i) { return first[i]; });
}

/// The same where all lanes of the warp ask for one place: they look at 32 ranges at a time, four
/// steps for a million.
CAIRN_DEVICE uint64_t find_range_together(const uint64_t* first, uint64_t count, uint64_t place) {
  uint64_t low = 0;
  while (count > 1) {
    const uint64_t step = (count + kWarp - 1) / kWarp;
    const uint64_t probe = step * lane_number();
    const bool is_before = probe < count && first[low + probe] <= place;
    const unsigned before = static_cast<unsigned>(__popc(__ballot_sync(kWholeWarp, is_before)));
    const uint64_t skipped = step * (before - 1);
    low += skipped;
    count = count - skipped < step ? count - skipped : step;
  }
  return low;
}

}  // namespace cairn::gpu
