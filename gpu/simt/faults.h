// What tests do to the simulated devices: schedules of their streams, and what goes wrong. All is
// of the process. Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gpu/stream.h"

namespace cairn::gpu::simt {

inline constexpr uint64_t kNever = UINT64_MAX;

/// The order of what is enqueued from now on in streams of our own; set_schedule() (run_grid.h)
/// sets it too. Of three seeds that follow each other one (2, 5, ...) lets nothing run before
/// somebody waits for it, one (3, 6, ...) all at once, and one some of it, as it draws.
void set_queue_schedule(uint64_t seed);

/// How many there are; 2 unless set. Each has its own memory.
void set_devices(unsigned count);
/// Bytes that each can allocate in all; unless set, no limit but the host's.
void set_memory(uint64_t bytes);
/// Bytes of it that are allocated.
uint64_t used_memory(unsigned device);
/// The next `count` allocations of device memory or pinned memory are made; all others are
/// kNoSpace.
void fail_allocations_after(uint64_t count);
/// All calls, for whichever device, fail with kFailed and this message, like after an error that
/// CUDA keeps. What is enqueued is lost. Memory can be given back.
void break_device(const std::string& message);
/// The same after `count` more tasks (kernels, copies) of streams of our own have run: whoever
/// waits learns of it, maybe another thread than the one whose task it was.
void break_device_after(uint64_t count, const std::string& message);
void mend_device();
/// As if its owner had destroyed it: what it has is still done, and calls with it fail.
void destroy_stream(Stream stream);
/// Nothing more of the stream runs until it is released, as behind a kernel that does not end: who
/// must not wait for a stream is seen not to. A wait that needs it is an error, not a hang.
void hold_stream(Stream stream);
void release_stream(Stream stream);

/// How often somebody waited for a stream that is held, or gave memory back while one of its device
/// is, since this was last asked: on a device it would hang.
uint64_t take_vain_waits();

/// The devices that were current in calls for which CUDA makes a context on the current one, since
/// this was last asked. In ascending order.
std::vector<unsigned> take_contexts();

/// How often kernels were launched since this was last asked, by name.
std::map<std::string, uint64_t> take_launches();

/// Takes back what the calls above did, but for streams and the schedule.
void clear_faults();

}  // namespace cairn::gpu::simt
