// The chunks of one save that lie on devices (docs/GPU.md, "Follow one save"): digested there round
// by round, decided on by the host, and what is wanted brought over and stored while the next
// comes.
#pragma once

#include <map>

#include "base/buffer.h"
#include "lib/cairn.hpp"
#include "lib/device/device_staging.h"

namespace cairn {

class DeviceSave final : public StagedSave {
 public:
  static Result<std::unique_ptr<StagedSave>> begin(DeviceStaging& staging,
                                                   const DeviceChoices& choices,
                                                   std::vector<TensorSource>& tensors,
                                                   uint64_t chunk_elements);
  ~DeviceSave() override;

  Status peek(const SourceBox& box, MutableBytes bytes) override;
  Result<std::vector<Digest>> digest(const SavePlan& plan,
                                     std::span<const Unit* const> units) override;
  Status run(const SavePlan& plan, std::span<const TensorSource> bases, ChunkSteps& steps,
             const CallOptions& call, const std::function<Status()>& when_read) override;
  uint64_t brought_bytes() const override;
  std::vector<std::string> notes() const override;

 private:
  explicit DeviceSave(DeviceStaging& staging) : staging_(staging), in_use_(staging.in_use()) {}

  DeviceStaging& staging_;
  std::unique_lock<std::mutex> in_use_;
  Lanes lanes_;
  std::vector<AlignedBuffer> glanced_;  // what small tensors hold
};

}  // namespace cairn
