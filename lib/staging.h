// What carries bytes between devices and the host for saves and loads. The interface is here; the
// code that knows devices is in lib/device/, in builds that have kernels.
//
// A Staging lives as long as the training: it keeps streams, pinned memory and memory of devices,
// which are slow to come by, from call to call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "lib/tensor.h"

namespace cairn {

namespace gpu {
class Transport;
}
struct CallOptions;
struct ChunkUnits;
struct RankGroup;
struct SaveRequest;
struct SavePlan;
struct SourceBox;
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

/// The steps of a save's chunks that are the same wherever tensors lie. Threads: any, each chunk in
/// one at a time.
class ChunkSteps {
 public:
  virtual ~ChunkSteps() = default;
  /// Neighbouring chunks, some megabytes of them; to be stored in the order of the jobs, roughly.
  virtual uint64_t jobs() const = 0;
  /// The chunks of a job. What is in the host's memory has rows and digests.
  virtual Result<std::vector<ChunkUnits>> prepare(uint64_t job) = 0;
  /// REQUIRES: all digests are there.
  virtual Status decide(std::vector<ChunkUnits>& chunks) = 0;
  /// The digest of what the base has of each unit's box; unset where it has nothing to build upon.
  virtual std::vector<std::optional<Digest>> base_digests(const ChunkUnits& chunk) = 0;
  /// What the base has of each unit's box. REQUIRES: base_digests() are all there; rooms of the
  /// units' sizes. Errors: kCorrupt when it cannot be read.
  virtual Status recall(const ChunkUnits& chunk, std::span<const MutableBytes> rooms) = 0;
  /// Stores what is wanted. REQUIRES: rows of all units of a chunk of which any is wanted.
  virtual Status store(const ChunkUnits& chunk) = 0;
};

/// One save under way. Threads: one at a time.
class StagedSave {
 public:
  virtual ~StagedSave() = default;
  /// Brings the first bytes at a place of the host's or a device's memory. Errors: the device's.
  virtual Status peek(const SourceBox& box, MutableBytes bytes) = 0;
  /// Of units of which some bytes are on devices, in their order. Errors: the device's.
  virtual Result<std::vector<Digest>> digest(const SavePlan& plan,
                                             std::span<const Unit* const> units) = 0;
  /// Does all steps for all jobs. `fence` is called once no byte of a device is to be read any
  /// more. `bases`: the tensors as the base tag has them; those on devices need not be sent whole.
  /// Errors: the steps'; kUsage naming a tensor that has changed meanwhile; the device's.
  virtual Status run(const SavePlan& plan, std::span<const TensorSource> bases, ChunkSteps& steps,
                     const CallOptions& call, const std::function<void()>& fence) = 0;
  /// Bytes that came from devices to the host.
  virtual uint64_t brought_bytes() const = 0;
  /// What the caller should know, such as that a device had no room.
  virtual std::vector<std::string> notes() const = 0;
};

/// A chunk or piece of a checkpoint on its way to a device.
struct StagedUnit {
  unsigned device = 0;
  uint64_t bytes = 0;                          ///< decoded
  uint64_t item_bytes = 1;                     ///< as stored
  Box box = {};                                ///< what they are, row-major, in storage coordinates
  std::vector<const TargetBox*> targets = {};  ///< on that device, which want some of it
  std::optional<Digest> digest = {};           ///< to be checked; unset: it has been
  std::function<Error()> corrupt = {};         ///< what is said when it is another
};

/// One load under way. Threads: any.
class StagedLoad {
 public:
  virtual ~StagedLoad() = default;
  /// `fill` puts the unit's bytes into memory that the device reads; they are checked, converted
  /// and copied to the targets some time before finish() returns. Waits for room. Errors: fill's;
  /// the device's; those of units before.
  virtual Status put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) = 0;
  /// Waits for all units. Errors: as put().
  virtual Status finish() = 0;
  virtual std::vector<std::string> notes() const = 0;
};

/// Threads: one call at a time; another one waits.
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
};

/// How many devices a Staging can serve: 0 where there is none, or this build has no kernels.
Result<unsigned> count_devices();

/// A Staging for the devices of this process. Errors: kUsage for bounds that nothing fits in;
/// kFailed where this build has no kernels, or there is no device.
Result<std::unique_ptr<Staging>> open_staging(const StagingOptions& options);

}  // namespace cairn
