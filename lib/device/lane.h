// What saves and loads have of one device: streams, so that hashing, gathering and copies to the
// host run side by side, and memory to work with, in parts:
//   two slabs, of which one is filled while the other crosses to the host
//   two areas for digests, of which one is hashed while the host decides on the other
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>

#include "gpu/gpu.h"
#include "lib/device/arena.h"
#include "lib/staging.h"

namespace cairn {

/// The pieces that one slab takes at most: what is around them in its memory depends on it.
uint64_t slab_pieces_most(const StagingOptions& options);

/// The memory of a device without which there is no room for slabs.
uint64_t lane_bytes_least(const StagingOptions& options);

/// REQUIRES, of all calls: the lane's device is the thread's current one.
/// Threads: one at a time, but for waiting for events.
class Lane {
 public:
  /// Errors: kFailed where there is no such device.
  static Result<Lane> make(unsigned device, const StagingOptions& options);

  /// Memory of the caller's from now on; see Staging::lend().
  void lend(gpu::DeviceSpan memory) { lent_ = memory; }

  /// Work that is enqueued from now on begins when what is now in the caller's streams is done.
  /// Where the device has no room for memory to work with, has_room() is false after this.
  Status begin(std::span<const gpu::Stream> callers);
  /// Waits for what the caller had enqueued at begin().
  Status wait_for_caller() const { return caller_.wait(); }

  unsigned device() const { return device_; }
  bool has_room() const { return has_room_; }
  /// All that it works with; empty without room.
  gpu::DeviceSpan memory() const { return memory_; }
  gpu::Stream hashing() const { return hashing_.stream(); }
  gpu::Stream work() const { return work_.stream(); }
  gpu::Stream copies() const { return copies_.stream(); }
  gpu::Share share() const { return {options_.multiprocessors}; }
  Arena& slab(unsigned turn) { return slabs_[turn % 2]; }
  Arena& digests(unsigned turn) { return digests_[turn % 2]; }
  /// When the slab of that turn was last copied to the host.
  gpu::Event& copied(unsigned turn) { return copied_[turn % 2]; }
  /// Pinned, of at least so many bytes, one for each area of digests. Errors: kNoSpace.
  Result<MutableBytes> told(unsigned turn, uint64_t bytes);

  /// Enqueues a copy to the host, and counts it. Errors: kFailed.
  Status bring(gpu::Stream stream, MutableBytes to, const void* from);
  void count_brought(uint64_t bytes) { brought_bytes_ += bytes; }
  /// What came to the host since begin().
  uint64_t brought_bytes() const { return brought_bytes_; }

  /// Waits until nothing that was enqueued here is under way. Errors: kFailed with what failed.
  Status finish() const;

 private:
  Status find_room();

  unsigned device_ = 0;
  StagingOptions options_;
  gpu::OwnStream hashing_, work_, copies_;
  gpu::Event caller_;
  gpu::DeviceMemory own_;
  gpu::DeviceSpan lent_;
  gpu::DeviceSpan memory_;
  bool has_room_ = false;
  uint64_t brought_bytes_ = 0;
  std::array<Arena, 2> slabs_, digests_;
  std::array<gpu::Event, 2> copied_;
  std::array<gpu::PinnedMemory, 2> told_;
};

/// By device.
using Lanes = std::map<unsigned, Lane*>;

/// Enqueues the digests of tiles in one of the lane's streams. Returns where they will be, 32 bytes
/// each. Errors: kNoSpace when the arena has no room; kFailed.
Result<gpu::DeviceSpan> enqueue_digests(const Lane& lane, gpu::Stream stream, Arena& arena,
                                        std::span<const gpu::Tile> tiles);
/// About what enqueue_digests() takes of an arena, never less.
uint64_t digests_room(uint64_t tiles, uint64_t bytes);

/// A part of an arena. Errors: kNoSpace.
Result<gpu::DeviceSpan> take_room(Arena& arena, uint64_t bytes);

}  // namespace cairn
