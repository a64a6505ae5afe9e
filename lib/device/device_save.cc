#include "lib/device/device_save.h"

#include "lib/device/carry.h"
#include "lib/device/content_digests.h"
#include "lib/device/device_rounds.h"
#include "lib/device/glance.h"

namespace cairn {

Result<std::unique_ptr<StagedSave>> DeviceSave::begin(DeviceStaging& staging,
                                                      const DeviceChoices& choices,
                                                      std::vector<TensorSource>& tensors,
                                                      uint64_t chunk_elements) {
  std::unique_ptr<DeviceSave> save(new DeviceSave(staging));
  for (const TensorSource& tensor : tensors) {
    if (!tensor.device || save->lanes_.contains(*tensor.device)) continue;
    CAIRN_TRY(Lane* const lane, staging.begin_lane(*tensor.device, choices));
    save->lanes_.emplace(*tensor.device, lane);
  }
  CAIRN_TRY(save->glanced_, glance(staging, save->lanes_, tensors, chunk_elements));
  return save;
}

DeviceSave::~DeviceSave() {
  // After an error too, nothing may be under way when tensors go and slots are another call's.
  for (const auto& [device, lane] : lanes_) {
    const auto scope = gpu::DeviceScope::enter(device);
    static_cast<void>(lane->finish().has_value());
  }
}

Status DeviceSave::peek(const SourceBox& box, MutableBytes bytes) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(*box.device));
  const gpu::Stream stream = lanes_.at(*box.device)->work();
  CAIRN_CHECK(gpu::copy_down(stream, bytes, box.data));
  return gpu::synchronize(stream);
}

Result<std::vector<Digest>> DeviceSave::digest(const SavePlan& plan,
                                               std::span<const Unit* const> units) {
  std::vector<Digest> digests(units.size());
  std::map<unsigned, ContentDigests> by_device;
  for (size_t i = 0; i < units.size(); ++i) {
    Content content = content_of(plan, *units[i]);
    if (!content.device) {
      const AlignedBuffer room(content.bytes);
      const MutableBytes bytes = room.span().first(content.bytes);
      CAIRN_CHECK(carry(lanes_, content, bytes));
      digests[i] = blake3(bytes);
      continue;
    }
    const auto here =
        by_device.try_emplace(*content.device, *lanes_.at(*content.device), digests).first;
    CAIRN_CHECK(here->second.add(i, std::move(content)));
  }
  for (auto& [device, here] : by_device) CAIRN_CHECK(here.finish());
  return digests;
}

Status DeviceSave::run(const SavePlan& plan, std::span<const TensorSource> bases, ChunkSteps& steps,
                       const CallOptions& call, const std::function<Status()>& when_read) {
  CAIRN_TRY(Slots* const slots, staging_.slots());
  return DeviceRounds(staging_, lanes_, *slots, plan, bases, steps, call).run(when_read);
}

uint64_t DeviceSave::brought_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [device, lane] : lanes_) bytes += lane->brought_bytes();
  return bytes;
}

std::vector<std::string> DeviceSave::notes() const {
  std::vector<std::string> notes;
  for (const auto& [device, lane] : lanes_) {
    if (!lane->has_room()) notes.push_back(staging_.no_room_note(device));
  }
  return notes;
}

}  // namespace cairn
