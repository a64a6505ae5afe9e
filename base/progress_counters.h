// How far a long call has come, for whoever watches.
#pragma once

#include <atomic>
#include <cstdint>

namespace cairn {

/// Fed by the work, read by another thread. Counts only grow; a total of 0 is not known yet.
struct ProgressCounters {
  std::atomic<uint64_t> total_bytes{0};
  std::atomic<uint64_t> done_bytes{0};
  std::atomic<uint64_t> new_bytes{0};  ///< of done_bytes, those that had to be written
};

}  // namespace cairn
