// The group that a job has on its CPUs (Gloo, MPI, ...), lent by the caller as two functions.
#pragma once

#include <cstdint>

namespace cairn {

/// How a call of a group ended.
enum class HostAnswer : int {
  kDone = 0,
  kTimedOut = 1,  ///< a rank was not there in time
  kFailed = 2,
};

/// What a call of a group is told, and what it tells. Plain, so that any language can fill it.
struct HostWait {
  uint64_t timeout_ms = 0;
  uint8_t* missing = nullptr;  ///< for each rank: 1 where it is known that it did not come; zeros
  char message[256] = {};      ///< why it failed; ends with a zero
};

/// A group of the caller. Its functions come back within the time-out, whatever happens, and let no
/// exception out. They are called by one thread at a time, not always the same one, in the same
/// order on all ranks.
struct HostGroup {
  unsigned rank = 0, size = 1;
  void* context = nullptr;  ///< handed to both
  /// `all` becomes `bytes` bytes of each rank, in their order.
  HostAnswer (*all_gather)(void* context, const uint8_t* own, uint64_t bytes, uint8_t* all,
                           HostWait* wait) = nullptr;
  /// `data` becomes that of `root`, where it is read.
  HostAnswer (*broadcast)(void* context, uint8_t* data, uint64_t bytes, unsigned root,
                          HostWait* wait) = nullptr;
  /// May be missing. Asked now and then while ranks wait for each other on their devices: whether
  /// the wait is to end, because the caller is stopped or another rank has said that it failed.
  /// kDone: no. Other ranks are not waited for.
  HostAnswer (*look)(void* context, HostWait* wait) = nullptr;
};

}  // namespace cairn
