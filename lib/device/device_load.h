// A load's way to devices: chunks are put side by side into pinned slabs by the threads that read
// them. A slab that is full crosses over, is digested and scattered there, while others fill.
#pragma once

#include <atomic>
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
  Result<bool> put_with(StagedUnit unit, const std::function<Status(MutableBytes)>& fill,
                        DerivedUnit derived) override;
  Status finish() override;
  uint64_t sent_bytes() const override { return sent_bytes_; }
  std::vector<std::string> notes() const override;

 private:
  struct Parcel;
  struct Slab;
  /// The bytes of a unit, where a device has them.
  struct Arrived {
    const StagedUnit* unit = nullptr;
    uint8_t* data = nullptr;
  };
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

  bool fits_slab(const Inflow& inflow, const Parcel& parcel) const;
  Status put_parcel(Inflow& inflow, Parcel parcel, const std::function<Status(MutableBytes)>& fill);
  Status put_joined(StagedUnit unit, const std::function<Status(MutableBytes)>& fill);
  Result<std::shared_ptr<Slab>> slab_for(Inflow& inflow, Lock& lock, const Parcel& parcel);
  void settle_others(const Inflow& own);
  Status seal(Inflow& inflow);
  static Result<std::vector<Arrived>> make_contents(const Lane& lane, Arena& work,
                                                    gpu::DeviceSpan there, const Slab& slab);
  Status send(Inflow& inflow, const std::shared_ptr<Slab>& slab);
  Status settle_oldest(Inflow& inflow);
  Status carry(const StagedUnit& unit, const std::function<Status(MutableBytes)>& fill);

  DeviceStaging& staging_;
  std::unique_lock<std::mutex> in_use_;
  Slots* slots_ = nullptr;
  std::map<unsigned, Inflow> inflows_;
  std::atomic<uint64_t> sent_bytes_{0};
};

}  // namespace cairn
