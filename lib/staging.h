// What carries bytes between devices and the host for saves and loads. The interface is here; the
// code that knows devices is in lib/device/, in builds that have kernels.
//
// A Staging lives as long as the training: it keeps streams, pinned memory and memory of devices,
// which are slow to come by, from call to call.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"

namespace cairn {

namespace gpu {
class Transport;
}
struct RankGroup;
class NewCommunicator;
class PassedBuckets;
class StagedLoad;
class StagedSave;
struct TargetBox;
struct TensorSource;
struct Unit;

/// Bounds of the memory that a Staging keeps, and how much of a device it takes.
struct StagingOptions {
  /// Of the host's memory, pinned: slabs that wait for the disk. A save that has more to store
  /// waits with its fence for the disk.
  uint64_t pinned_bytes = uint64_t{512} << 20;
  uint64_t slab_bytes = uint64_t{32} << 20;     ///< what travels at a time
  uint64_t device_bytes = uint64_t{256} << 20;  ///< of each device's memory
  unsigned multiprocessors = 0;                 ///< of each device, at most; 0: all
};

/// A queue of a device on which the caller has enqueued what makes, or still reads, its tensors.
struct CallerStream {
  unsigned device = 0;
  void* handle = nullptr;  ///< a cudaStream_t; null: the device's default stream
};

/// What calls say that have tensors on devices.
struct DeviceChoices {
  class Staging* staging = nullptr;  ///< REQUIRED where a tensor is on a device
  /// Calls begin when what was enqueued here before is done. A device that is not named: its
  /// default stream. No stream may be capturing a graph.
  std::vector<CallerStream> streams = {};
};

/// Threads: one call at a time; another one waits until it has ended, a save for its disk too. So
/// ranks that make a call together have a Staging each, and no two such calls under way on one.
class Staging {
 public:
  virtual ~Staging() = default;
  /// Memory of a device to work with, instead of some of its own; it must live until another is
  /// lent or this one ends. Errors: kUsage.
  virtual Status lend(unsigned device, void* memory, uint64_t bytes) = 0;
  /// Begins a save. Boxes on devices of tensors with chunks of at most a few KiB come to the host:
  /// in `tensors` their data and device become those of copies that the save keeps.
  virtual Result<std::unique_ptr<StagedSave>> begin_save(const DeviceChoices& choices,
                                                         std::vector<TensorSource>& tensors,
                                                         uint64_t chunk_elements) = 0;
  virtual Result<std::unique_ptr<StagedLoad>> begin_load(const DeviceChoices& choices,
                                                         const std::vector<TargetBox>& targets) = 0;
  /// How ranks reach each other over the group's communicator. Errors: NCCL's, or that there is
  /// none.
  virtual Result<std::unique_ptr<gpu::Transport>> join(const RankGroup& group) = 0;
  /// Begins one of the ranks' own on the group's device. Errors: what this rank lacks for it.
  virtual Result<std::unique_ptr<NewCommunicator>> new_communicator(const RankGroup& group) = 0;
  /// Buckets on the communicator's device, behind the caller's streams there. Errors: kFailed.
  virtual Result<std::unique_ptr<PassedBuckets>> open_buckets(const DeviceChoices& choices,
                                                              const RankGroup& group) = 0;
};

/// How many devices a Staging can serve: 0 where there is none, or this build has no kernels.
Result<unsigned> count_devices();

/// A Staging for the devices of this process. Errors: kUsage for bounds that nothing fits in;
/// kFailed where this build has no kernels, or there is no device.
Result<std::unique_ptr<Staging>> open_staging(const StagingOptions& options);

}  // namespace cairn
