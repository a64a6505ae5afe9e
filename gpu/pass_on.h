// A load that is read once: each rank reads its buckets and all that want them get them by
// broadcast. Every rank calls this at the same time, with the same plan (gpu/bucket_plan.h):
//
//   1. all say how they are and what the plan is
//   2. bucket by bucket: its reader fills it, and it is broadcast with a status behind it; some are
//      under way at once, each in memory and on a stream of its own
//   3. before memory is used again: what is in it has come, its status is looked at, and who wants
//      it takes it
//   4. all say how it went
//
// A reader that fails sends the reason in place of a bucket, to all ranks: they stop at the same
// bucket and end with it. A rank that fails to take goes on until all stop or are done.
#pragma once

#include <functional>
#include <span>

#include "gpu/bucket_plan.h"
#include "gpu/rank_talk.h"
#include "gpu/transport.h"

namespace cairn::gpu {

/// Enqueues on the stream what puts the parts of a bucket into `memory`, or what takes them out.
/// Host memory that it copies from is not needed afterwards, or is pinned and lives to the end.
using UseBucket = std::function<Status(const Bucket&, Stream, DeviceSpan memory)>;

/// How a status comes to the memory of buckets, and from there.
struct Copies {
  Status (*up)(Stream stream, void* to, ByteSpan from) = nullptr;
  Status (*down)(Stream stream, MutableBytes to, const void* from) = nullptr;
  Status (*wait)(Stream stream) = nullptr;
};
/// Where buckets are in the host's memory, and streams but names (gpu/memory_transport.h).
Copies host_copies();
/// Where they are in that of a device. Inline: only who calls it needs devices.
inline Copies device_copies() { return {copy_up, copy_down, synchronize}; }

struct PassOn {
  std::span<const Stream> streams;  ///< one for each bucket that may be under way; the caller's
  DeviceSpan memory;                ///< pass_on_bytes(), aligned to 16 bytes
  UseBucket fill;                   ///< of the reader
  /// Of all that want the bucket, the reader too. On its stream comes afterwards whatever fills
  /// the memory again, so that nobody waits for it here.
  UseBucket take;
  Copies copies = host_copies();
};

/// The memory that a plan takes with so many buckets under way.
uint64_t pass_on_bytes(const BucketPlan& plan, size_t under_way);

/// When it returns nothing is under way but what take() enqueued last. Errors: this rank's; that of
/// another, naming it; kUsage for ranks with different plans, or memory that is too small; the
/// transport's. Targets are filled in part then. To be had at once: readers fill while others'
/// buckets travel, so as many streams as readers let all of them read.
Status pass_on(Transport& transport, const BucketPlan& plan, const PassOn& how);

}  // namespace cairn::gpu
