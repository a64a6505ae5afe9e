#include "lib/device/device_staging.h"

#include <fmt/format.h>

#include "base/digest.h"
#include "lib/device/device_buckets.h"
#include "lib/device/device_load.h"
#include "lib/device/device_save.h"
#include "lib/rank_group.h"

namespace cairn {

DeviceStaging::~DeviceStaging() {
  if (lanes_.empty()) return;
  // What is given back must make no context on a device that was never met.
  const auto scope = gpu::DeviceScope::enter(lanes_.begin()->first);
  lanes_.clear();
  slots_.reset();
}

Status DeviceStaging::lend(unsigned device, void* memory, uint64_t bytes) {
  const auto held = in_use();
  if (bytes > 0 && reinterpret_cast<uintptr_t>(memory) % Arena::kAlignment != 0) {
    return fail(Code::kUsage, fmt::format("memory of device {} that is lent is not aligned to {} "
                                          "bytes",
                                          device, Arena::kAlignment));
  }
  CAIRN_TRY(Lane* const lane, lane_of(device));
  lane->lend({static_cast<uint8_t*>(memory), bytes});
  return {};
}

/// Makes what is kept for a device, and for all: pinning memory takes long, so who lends some
/// memory beforehand does not wait for it at the first save.
Result<Lane*> DeviceStaging::lane_of(unsigned device) {
  if (const auto known = lanes_.find(device); known != lanes_.end()) return &known->second;
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
  CAIRN_CHECK(slots());
  CAIRN_TRY(Lane made, Lane::make(device, options_));
  return &lanes_.emplace(device, std::move(made)).first->second;
}

/// The caller's, of a device.
static std::vector<gpu::Stream> streams_of(const DeviceChoices& choices, unsigned device) {
  std::vector<gpu::Stream> streams;
  for (const CallerStream& each : choices.streams) {
    if (each.device == device) streams.push_back({each.handle});
  }
  if (streams.empty()) streams.push_back({});  // the default one
  return streams;
}

Result<Lane*> DeviceStaging::begin_lane(unsigned device, const DeviceChoices& choices) {
  CAIRN_TRY(Lane* const lane, lane_of(device));
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
  CAIRN_CHECK(lane->begin(streams_of(choices, device)));
  return lane;
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

Result<std::unique_ptr<PassedBuckets>> DeviceStaging::open_buckets(const DeviceChoices& choices,
                                                                   const RankGroup& group) {
  return DeviceBuckets::open(group.device, streams_of(choices, group.device));
}

std::string DeviceStaging::no_room_note(unsigned device) const {
  return fmt::format(
      "device {} has no room to work with: slabs of {} bytes take {} bytes of its memory, of which "
      "{} may be used (device_bytes), where they are free; its tensors went by plain copies, and "
      "the host hashed them",
      device, options_.slab_bytes, lane_bytes_least(options_), options_.device_bytes);
}

static Status check_options(const StagingOptions& options) {
  constexpr uint64_t kSlabLeast = 64 << 10, kSlabMost = uint64_t{1} << 32;
  constexpr uint64_t kPinnedMost = uint64_t{1} << 42;
  if (options.slab_bytes < kSlabLeast || options.slab_bytes > kSlabMost) {
    return fail(Code::kUsage,
                fmt::format("slabs of {} bytes: they have 64 KiB to 4 GiB", options.slab_bytes));
  }
  if (options.pinned_bytes <= kPinnedMost) return {};
  return fail(Code::kUsage, fmt::format("{} bytes of pinned memory: at most 4 TiB are taken",
                                        options.pinned_bytes));
}

Result<unsigned> count_devices() { return gpu::device_count(); }

Result<std::unique_ptr<Staging>> open_staging(const StagingOptions& options) {
  CAIRN_CHECK(check_options(options));
  CAIRN_CHECK(gpu::device_facts());
  return std::make_unique<DeviceStaging>(options);
}

}  // namespace cairn
