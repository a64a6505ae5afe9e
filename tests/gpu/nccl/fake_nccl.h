// A libnccl.so.2 of tests: ranks are threads of one process, or processes that meet in the folder
// of the environment's CAIRN_FAKE_NCCL_FOLDER, and device memory is the host's. What is enqueued is
// done by a thread of each communicator, late; with streams of simulated devices in their order.
// Beside the functions of nccl.h it has those below, which a test finds by dlsym.
#pragma once

#include <cstdint>

#include "gpu/simt/outside_work.h"

extern "C" {

/// What goes wrong from now on, in all communicators that are made afterwards.
struct FakeNcclFaults {
  unsigned delay_us = 0;        ///< at most, before what is enqueued is done
  int missing_rank = -1;        ///< which does not come
  uint64_t missing_at = 0;      ///< to this of its operations; 0: nor to the making
  int failing_rank = -1;        ///< which is told an error
  int error = 0;                ///< of this number
  bool is_in_progress = false;  ///< calls return ncclInProgress at first
  int version = 22304;
  int unable_rank = -1;  ///< which gets no communicator, while the others get theirs
};
void fake_nccl_set(const FakeNcclFaults* faults);

/// From now on operations stand in streams of simulated devices: they read memory when the stream
/// is there, and what comes behind them waits until they are done. Null: as at the start, they
/// know nothing of streams but fake_nccl_is_done(). Where none is under way.
void fake_nccl_use_streams(const CairnSimulatedStreams* streams);

/// Whether all that was enqueued on the stream is done.
bool fake_nccl_is_done(void* stream);

struct FakeNcclCounts {
  int made, destroyed, aborted;
  uint64_t broadcasts, broadcast_bytes;
  int ids;  ///< that were made
};
/// Since fake_nccl_set().
FakeNcclCounts fake_nccl_counts();
}
