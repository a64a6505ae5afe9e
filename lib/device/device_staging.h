// The Staging of builds that have kernels: a lane for each device that was met, and the slots that
// all of them share.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "gpu/transport.h"
#include "lib/device/lane.h"
#include "lib/device/slots.h"
#include "lib/staged_calls.h"

namespace cairn {

class DeviceStaging final : public Staging {
 public:
  explicit DeviceStaging(const StagingOptions& options) : options_(options) {}
  ~DeviceStaging() override;

  Status lend(unsigned device, void* memory, uint64_t bytes) override;
  Result<std::unique_ptr<StagedSave>> begin_save(const DeviceChoices& choices,
                                                 std::vector<TensorSource>& tensors,
                                                 uint64_t chunk_elements) override;
  Result<std::unique_ptr<StagedLoad>> begin_load(const DeviceChoices& choices,
                                                 const std::vector<TargetBox>& targets) override;
  Result<std::unique_ptr<gpu::Transport>> join(const RankGroup& group) override;
  Result<std::unique_ptr<NewCommunicator>> new_communicator(const RankGroup& group) override;
  Result<std::unique_ptr<PassedBuckets>> open_buckets(const DeviceChoices& choices,
                                                      const RankGroup& group) override;

  // For the call under way, which holds `in_use()`.

  std::unique_lock<std::mutex> in_use() { return std::unique_lock(mutex_); }
  /// The device's lane, begun behind the caller's stream. Errors: kFailed.
  Result<Lane*> begin_lane(unsigned device, const DeviceChoices& choices);
  /// REQUIRES: the current device is one of the call's. Errors: kNoSpace.
  Result<Slots*> slots();
  /// What is told of a device whose lane has no room.
  std::string no_room_note(unsigned device) const;
  const StagingOptions& options() const { return options_; }

 private:
  Result<Lane*> lane_of(unsigned device);

  const StagingOptions options_;
  std::mutex mutex_;
  std::map<unsigned, Lane> lanes_;
  std::unique_ptr<Slots> slots_;
};

}  // namespace cairn
