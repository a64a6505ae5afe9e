// Between a save's or load's own steps and whoever brings bytes from and to devices (lib/device/).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/encodings/cast.h"
#include "gpu/pass_on.h"
#include "lib/cairn.hpp"
#include "lib/chunk_units.h"
#include "lib/load_plan.h"
#include "lib/transfer_recipes.h"

namespace cairn {

/// What is done with chunks, the same wherever tensors lie: by a save, or by who copies a state.
/// Threads: any, each chunk in one at a time.
class ChunkSteps {
 public:
  virtual ~ChunkSteps() = default;
  /// Neighbouring chunks, some megabytes of them; to be stored in the order of the jobs, roughly.
  virtual uint64_t jobs() const = 0;
  /// The chunks of a job. What is in the host's memory has rows and digests.
  virtual Result<std::vector<ChunkUnits>> prepare(uint64_t job) = 0;
  /// REQUIRES: all digests are there.
  virtual Status decide(std::vector<ChunkUnits>& chunks) = 0;
  /// Stores what is wanted. REQUIRES: rows of all units of a chunk of which any is wanted.
  virtual Status store(const ChunkUnits& chunk) = 0;

  // Of what the caller has left to build upon. Only called where run() has `bases`.

  /// The digest of what the base has of each unit's box; unset where it has nothing to build upon.
  virtual std::vector<std::optional<Digest>> base_digests(const ChunkUnits& chunk) {
    return std::vector<std::optional<Digest>>(chunk.units.size());
  }
  /// How units like these travel with the least bytes; nullopt when nobody has learnt it.
  virtual std::optional<TransferRecipes> recipes(const ChunkUnits&) { return std::nullopt; }
  /// From the bytes of one chunk's units, and what the base has of them.
  virtual void learn(const ChunkUnits&, std::span<const ByteSpan> /*now*/,
                     std::span<const ByteSpan> /*before*/) {}
  /// What the base has of each unit's box. REQUIRES: base_digests() are all there; rooms of the
  /// units' sizes. Errors: kCorrupt when it cannot be read.
  virtual Status recall(const ChunkUnits&, std::span<const MutableBytes> /*rooms*/) {
    return fail(Code::kBug, "there is no base to recall");
  }
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
  /// Does all steps for all jobs. `when_read` is called when no byte of a device is to be read any
  /// more, while chunks are still being stored. `bases`: the tensors as the base tag has them;
  /// those on devices need not be sent whole. Errors: the steps'; when_read's; kUsage naming a
  /// tensor that has changed meanwhile; the device's.
  virtual Status run(const SavePlan& plan, std::span<const TensorSource> bases, ChunkSteps& steps,
                     const CallOptions& call, const std::function<Status()>& when_read) = 0;
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
  /// What comes are not the bytes but planes of items of so many bytes, as decode_to_planes()
  /// (base/encodings/encode.h) leaves them; 0: the bytes.
  unsigned plane_item_bytes = 0;
};

/// A unit that the device makes of another, which comes with it.
struct DerivedUnit {
  StagedUnit unit;
  Cast cast = Cast::kF32ToBf16;
  /// What corrects the items, as apply_residuals() (base/encodings/encode.h) does; as many bytes as
  /// they have, or empty: nothing. Read during the call.
  ByteSpan residuals = {};
};

/// One load under way. Threads: any.
class StagedLoad {
 public:
  virtual ~StagedLoad() = default;
  /// `fill` puts the unit's bytes, or planes, into memory that the device reads; they are checked,
  /// converted and copied to the targets some time before finish() returns. Waits for room.
  /// Errors: fill's; the device's; those of units before.
  virtual Status put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) = 0;
  /// The same of a unit and of another that is made of it. False where the device has no room for
  /// that: nothing was done, and `fill` was not called.
  virtual Result<bool> put_with(StagedUnit unit, const std::function<Status(MutableBytes)>& fill,
                                DerivedUnit derived) = 0;
  /// Waits for all units. Errors: as put().
  virtual Status finish() = 0;
  /// Bytes of units that went from the host to devices.
  virtual uint64_t sent_bytes() const = 0;
  virtual std::vector<std::string> notes() const = 0;
};

/// A communicator that the ranks of a load make for it. One step after the other, the same on all
/// ranks. What is not taken is aborted.
class NewCommunicator {
 public:
  virtual ~NewCommunicator() = default;
  /// What all ranks are told of this one: as long on all of them.
  virtual ByteSpan offer() const = 0;
  /// `offers` of all ranks, one behind the other. Ranks that run out of time later on meet over
  /// `host`, which lives longer. Errors: that this cannot go well, on all ranks; NCCL's;
  /// kUnreachable when it takes too long.
  virtual Status make(ByteSpan offers, gpu::Transport& host) = 0;
  /// REQUIRES: all ranks have made it.
  virtual std::unique_ptr<gpu::Transport> take() = 0;
};

/// Where a load by ranks has buckets of chunks on their way. At its end nothing is under way,
/// unless it was abandoned.
/// Threads: the one that opened it; on_host() takes any.
class PassedBuckets {
 public:
  virtual ~PassedBuckets() = default;
  /// One for each bucket that may be under way, and how a status gets to their memory.
  virtual std::span<const gpu::Stream> streams() const = 0;
  virtual gpu::Copies copies() const = 0;
  /// Once. Errors: kNoSpace.
  virtual Result<gpu::DeviceSpan> take(uint64_t bytes) = 0;
  /// Whose memory it is; unset: the host's.
  virtual std::optional<unsigned> device() const = 0;
  /// Waits for what was enqueued.
  virtual Status wait(gpu::Stream stream) = 0;
  /// Enqueues a copy of that part of a chunk in a bucket that a target on the same device wants as
  /// it is stored. `data`: the chunk's box, row-major.
  virtual Status copy(gpu::Stream stream, const uint8_t* data, const Box& box,
                      const TargetBox& target) = 0;
  /// Bytes of a bucket, in the host's memory: themselves, or a copy in `room`.
  virtual Result<ByteSpan> on_host(gpu::Stream stream, ByteSpan bytes, AlignedBuffer& room) = 0;
  /// The transport is broken, and what it has under way in the streams may never end: their end is
  /// not waited for any more, and the buckets' memory is left to the process. What copy() has
  /// enqueued is still done before the end.
  virtual void abandon() = 0;
};

}  // namespace cairn
