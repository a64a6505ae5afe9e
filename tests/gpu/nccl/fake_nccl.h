// A libnccl.so.2 of tests: ranks are threads of one process and device memory is the host's. What
// is enqueued is done by a thread of each communicator, late. Beside the functions of nccl.h it has
// those below, which a test finds by dlsym.
#pragma once

#include <cstdint>

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
};
void fake_nccl_set(const FakeNcclFaults* faults);

/// Whether all that was enqueued on the stream is done.
bool fake_nccl_is_done(void* stream);

struct FakeNcclCounts {
  int made, destroyed, aborted;
};
FakeNcclCounts fake_nccl_counts();
}
