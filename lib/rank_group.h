// The ranks of a job that save or load together: what they tell each other goes over a group that
// the caller has, lent as functions, or over NCCL.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/host_group.h"

namespace cairn {

/// Lent for a call, which all ranks make at the same time, with the same tag and step. When a rank
/// fails, all fail with its error; one that does not come within the time-out is named.
struct RankGroup {
  HostGroup host;
  /// Longer than what ranks may be apart: on a load one of them may wait for a disk.
  std::chrono::milliseconds timeout{std::chrono::minutes(5)};
  /// An ncclComm_t that takes the place of `host`: nothing else uses it meanwhile. Needs
  /// DeviceChoices::staging. Where both are lent, `host` is where ranks find out who is missing.
  void* nccl = nullptr;
  uint32_t device = 0;     ///< of the communicator
  void* stream = nullptr;  ///< a cudaStream_t of that device
  /// Of a load, the same on all ranks: they make a communicator for it, each on its `device`, which
  /// goes with the load. Needs `host` and, for each rank, DeviceChoices::staging and a device that
  /// no other rank has; where one of them cannot make it all pass on over `host`, which the result
  /// says in a note. Nobody waits longer than half of the time-out, or two minutes, for it to be
  /// made.
  bool makes_nccl = false;
};

}  // namespace cairn
