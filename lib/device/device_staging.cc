#include "lib/device/device_staging.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "lib/device/device_load.h"
#include "lib/device/device_save.h"

namespace cairn {

Status DeviceStaging::lend(unsigned device, void* memory, uint64_t bytes) {
  const auto held = in_use();
  const gpu::DeviceSpan span{static_cast<uint8_t*>(memory), bytes};
  if (bytes > 0 && reinterpret_cast<uintptr_t>(memory) % Arena::kAlignment != 0) {
    return fail(Code::kUsage, fmt::format("memory of device {} that is lent is not aligned to {} "
                                          "bytes",
                                          device, Arena::kAlignment));
  }
  lent_[device] = span;
  if (const auto lane = lanes_.find(device); lane != lanes_.end()) lane->second.lend(span);
  return {};
}

Result<Lane*> DeviceStaging::begin_lane(unsigned device, const DeviceChoices& choices) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
  auto lane = lanes_.find(device);
  if (lane == lanes_.end()) {
    CAIRN_TRY(Lane made, Lane::make(device, options_));
    lane = lanes_.emplace(device, std::move(made)).first;
    lane->second.lend(lent_[device]);
  }
  const auto stream = std::find_if(choices.streams.begin(), choices.streams.end(),
                                   [&](const CallerStream& each) { return each.device == device; });
  CAIRN_CHECK(lane->second.begin({stream == choices.streams.end() ? nullptr : stream->handle}));
  return &lane->second;
}

Result<Slots*> DeviceStaging::slots() {
  if (slots_ == nullptr) {
    const uint64_t digests = sizeof(Digest) * slab_pieces_most(options_);
    CAIRN_TRY(slots_, Slots::make(options_.pinned_bytes, options_.slab_bytes + digests));
  }
  return slots_.get();
}

Result<std::unique_ptr<StagedSave>> DeviceStaging::begin_save(const DeviceChoices& choices,
                                                              std::vector<TensorSource>& tensors,
                                                              uint64_t chunk_elements) {
  return DeviceSave::begin(*this, choices, tensors, chunk_elements);
}

Result<std::unique_ptr<StagedLoad>> DeviceStaging::begin_load(
    const DeviceChoices& choices, const std::vector<TargetBox>& targets) {
  return DeviceLoad::begin(*this, choices, targets);
}

std::string DeviceStaging::no_room_note(unsigned device) const {
  return fmt::format(
      "device {} has no {} bytes of memory to work with: its tensors went by plain "
      "copies, and the host hashed them",
      device, options_.device_bytes);
}

static Status check_options(const StagingOptions& options) {
  constexpr uint64_t kSlabLeast = 64 << 10, kSlabMost = uint64_t{1} << 32;
  if (options.slab_bytes >= kSlabLeast && options.slab_bytes <= kSlabMost) return {};
  return fail(Code::kUsage,
              fmt::format("slabs of {} bytes: they have 64 KiB to 4 GiB", options.slab_bytes));
}

Result<unsigned> count_devices() { return gpu::device_count(); }

Result<std::unique_ptr<Staging>> open_staging(const StagingOptions& options) {
  CAIRN_CHECK(check_options(options));
  CAIRN_TRY(const gpu::DeviceFacts facts, gpu::device_facts());
  static_cast<void>(facts);
  return std::make_unique<DeviceStaging>(options);
}

}  // namespace cairn
