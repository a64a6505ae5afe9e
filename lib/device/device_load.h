// A load's way to devices: chunks are put side by side into pinned slabs by the threads that read
// them. A slab that is full crosses over, is digested and scattered there, while others fill.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>

#include "lib/device/device_staging.h"
#include "lib/device/scatter_parts.h"

namespace cairn {

class DeviceLoad final : public StagedLoad {
 public:
  static Result<std::unique_ptr<StagedLoad>> begin(DeviceStaging& staging,
                                                   const DeviceChoices& choices,
                                                   const std::vector<TargetBox>& targets);
  ~DeviceLoad() override;

  Status put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) override;
  Status finish() override;
  std::vector<std::string> notes() const override;

 private:
  struct Slab;
  /// Of one device. Its mutex is held while work is enqueued there.
  struct Inflow {
    Lane* lane = nullptr;
    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<Slab> open;
    std::deque<std::shared_ptr<Slab>> sent;  // the oldest first
    unsigned turn = 0;
    Status status;  // of what was sent
  };
  using Lock = std::unique_lock<std::mutex>;

  explicit DeviceLoad(DeviceStaging& staging) : staging_(staging), in_use_(staging.in_use()) {}

  bool fits_slab(const Inflow& inflow, const StagedUnit& unit) const;
  Status put_joined(StagedUnit unit, const std::function<Status(MutableBytes)>& fill);
  Result<std::shared_ptr<Slab>> slab_for(Inflow& inflow, Lock& lock, const StagedUnit& unit);
  void settle_others(const Inflow& own);
  Status seal(Inflow& inflow);
  Status send(Inflow& inflow, const std::shared_ptr<Slab>& slab);
  Status settle_oldest(Inflow& inflow);
  static Status carry(const StagedUnit& unit, const std::function<Status(MutableBytes)>& fill);

  DeviceStaging& staging_;
  std::unique_lock<std::mutex> in_use_;
  Slots* slots_ = nullptr;
  std::map<unsigned, Inflow> inflows_;
};

}  // namespace cairn
