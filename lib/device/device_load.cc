#include "lib/device/device_load.h"

#include <algorithm>
#include <cstring>

#include "base/buffer.h"
#include "base/encodings/encode.h"
#include "base/memory_guard.h"
#include "lib/device/carry.h"
#include "lib/device/derived_units.h"
#include "lib/device/joined_planes.h"
#include "lib/device/landing.h"
#include "lib/load_delivery.h"

namespace cairn {

/// What a unit takes of the device beside its place in a slab, at most.
static uint64_t work_room(const StagedUnit& unit) {
  const uint64_t joined = unit.plane_item_bytes > 0 ? joined_room(unit.bytes) : 0;
  return joined + scatter_room(unit.box, unit.item_bytes, unit.targets) +
         digests_room(1, unit.bytes);
}

/// A unit, and what the device makes of it.
struct DeviceLoad::Parcel {
  StagedUnit unit;
  std::optional<DerivedUnit> derived = {};
  PackedCodes corrections = {};  // of the derived one, behind the unit in the slab

  uint64_t bytes() const {
    return landed_bytes(unit.bytes) + landed_bytes(corrections.bytes.size());
  }
  size_t units() const { return derived ? 2 : 1; }
  uint64_t room() const {
    if (!derived) return work_room(unit);
    return work_room(unit) + work_room(derived->unit) + cast_room(derived->unit.bytes);
  }
};

/// Parcels side by side in pinned memory, and behind them room for what the device says of them.
struct DeviceLoad::Slab {
  struct Filled {
    Parcel parcel;
    uint64_t offset = 0;
  };

  Slots::Slot slot;
  uint64_t bytes = 0;  // taken
  uint64_t room = 0;   // of the device that joining, casts, digests and scattering take
  size_t units = 0;
  std::vector<Filled> filled;
  unsigned fillers = 0;  // that still write to it
  bool is_sealed = false;
  bool is_broken = false;                  // a unit could not be put there
  std::vector<const StagedUnit*> checked;  // the units whose digests are told
  ByteSpan told;
  gpu::Event done;
};

Result<std::unique_ptr<StagedLoad>> DeviceLoad::begin(DeviceStaging& staging,
                                                      const DeviceChoices& choices,
                                                      const std::vector<TargetBox>& targets) {
  std::unique_ptr<DeviceLoad> load(new DeviceLoad(staging));
  for (const TargetBox& target : targets) {
    if (!target.device || load->inflows_.contains(*target.device)) continue;
    CAIRN_TRY(load->inflows_[*target.device].lane, staging.begin_lane(*target.device, choices));
  }
  CAIRN_TRY(load->slots_, staging.slots());
  // What reads the targets may still be under way; copies are enqueued behind it.
  for (const auto& [device, inflow] : load->inflows_) {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(inflow.lane->wait_for_caller());
  }
  return load;
}

DeviceLoad::~DeviceLoad() {
  // After an error too, nothing may be under way when targets and slabs go.
  for (const auto& [device, inflow] : inflows_) {
    const auto scope = gpu::DeviceScope::enter(device);
    if (inflow.lane != nullptr) static_cast<void>(inflow.lane->finish().has_value());
  }
}

bool DeviceLoad::fits_slab(const Inflow& inflow, const Parcel& parcel) const {
  return inflow.lane->has_room() && parcel.bytes() <= staging_.options().slab_bytes &&
         parcel.room() <= inflow.lane->digests(0).bytes();
}

/// Of planes that the device has no room to join.
Status DeviceLoad::put_joined(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) {
  const unsigned item_bytes = std::exchange(unit.plane_item_bytes, 0);
  return put(std::move(unit), [&](MutableBytes bytes) -> Status {
    const AlignedBuffer room(bytes.size());
    const MutableBytes planes = room.span().first(bytes.size());
    CAIRN_CHECK(fill(planes));
    join_planes(planes, item_bytes, bytes);
    return {};
  });
}

Status DeviceLoad::put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) {
  Inflow& inflow = inflows_.at(unit.device);
  Parcel parcel{std::move(unit)};
  if (fits_slab(inflow, parcel)) return put_parcel(inflow, std::move(parcel), fill);
  if (parcel.unit.plane_item_bytes > 0) return put_joined(std::move(parcel.unit), fill);
  return carry(parcel.unit, fill);
}

Result<bool> DeviceLoad::put_with(StagedUnit unit, const std::function<Status(MutableBytes)>& fill,
                                  DerivedUnit derived) {
  Inflow& inflow = inflows_.at(unit.device);
  Parcel parcel{std::move(unit), std::move(derived)};
  ByteSpan& residuals = parcel.derived->residuals;
  if (!residuals.empty()) {
    const Cast cast = parcel.derived->cast;
    parcel.corrections = pack_codes(residuals, target_bytes(cast), cast_tile_items(cast));
    residuals = {};
  }
  // Corrections may be more than what they correct.
  const bool is_less = parcel.corrections.bytes.size() < parcel.derived->unit.bytes;
  if (!is_less || !fits_slab(inflow, parcel)) return false;
  CAIRN_CHECK(put_parcel(inflow, std::move(parcel), fill));
  return true;
}

Status DeviceLoad::put_parcel(Inflow& inflow, Parcel parcel,
                              const std::function<Status(MutableBytes)>& fill) {
  Lock lock(inflow.mutex);
  CAIRN_TRY(const auto slab, slab_for(inflow, lock, parcel));
  const uint64_t offset = slab->bytes;
  const MutableBytes all = slab->slot.span().subspan(offset, parcel.bytes());
  const MutableBytes room = all.first(parcel.unit.bytes);
  const Bytes& codes = parcel.corrections.bytes;
  std::copy(codes.begin(), codes.end(), all.begin() + landed_bytes(parcel.unit.bytes));
  slab->bytes += parcel.bytes();
  slab->units += parcel.units();
  slab->filled.push_back({std::move(parcel), offset});
  ++slab->fillers;
  lock.unlock();
  // Whatever comes of it, others wait for the slab.
  const Status filled = guard_memory([&] { return fill(room); });
  lock.lock();
  --slab->fillers;
  slab->is_broken = slab->is_broken || !filled;
  inflow.changed.notify_all();
  if (slab->is_sealed && slab->fillers == 0) {
    const Status sent = send(inflow, slab);
    return filled ? sent : filled;
  }
  return filled;
}

/// The slab that fills now, with room for the parcel.
Result<std::shared_ptr<DeviceLoad::Slab>> DeviceLoad::slab_for(Inflow& inflow, Lock& lock,
                                                               const Parcel& parcel) {
  const StagingOptions& options = staging_.options();
  const uint64_t bytes = parcel.bytes();
  const uint64_t room = parcel.room();
  for (;;) {
    CAIRN_CHECK(inflow.status);
    if (inflow.open != nullptr) {
      Slab& open = *inflow.open;
      if (open.bytes + bytes <= options.slab_bytes &&
          open.units + parcel.units() <= slab_pieces_most(options) &&
          open.room + room <= inflow.lane->digests(0).bytes()) {
        open.room += room;
        return inflow.open;
      }
      CAIRN_CHECK(seal(inflow));
    }
    if (auto slot = slots_->try_take()) {
      inflow.open = std::make_shared<Slab>();
      inflow.open->slot = *std::move(slot);
      continue;
    }
    if (!inflow.sent.empty()) {
      CAIRN_CHECK(settle_oldest(inflow));
      continue;
    }
    // Other devices have the slots, or threads that still fill them.
    lock.unlock();
    settle_others(inflow);
    lock.lock();
    if (inflow.open == nullptr) inflow.changed.wait_for(lock, std::chrono::milliseconds(1));
  }
}

/// What other devices are done with, so that its slots are free. What goes wrong there, they tell.
void DeviceLoad::settle_others(const Inflow& own) {
  for (auto& [device, inflow] : inflows_) {
    if (&inflow == &own) continue;
    const Lock lock(inflow.mutex, std::try_to_lock);
    if (!lock.owns_lock() || !inflow.status) continue;
    // One that fills may be all that it has, and nobody may come to fill it up.
    if (inflow.sent.empty()) inflow.status = seal(inflow);
    if (inflow.status && !inflow.sent.empty()) {
      static_cast<void>(settle_oldest(inflow).has_value());
    }
  }
}

/// No unit is added any more; who fills last sends it.
Status DeviceLoad::seal(Inflow& inflow) {
  const auto slab = std::exchange(inflow.open, nullptr);
  if (slab == nullptr) return {};
  slab->is_sealed = true;
  return slab->fillers == 0 ? send(inflow, slab) : Status();
}

/// The bytes of all units on the device: as they came, joined, or made of others. What one is made
/// of comes before it, and is blamed first.
Result<std::vector<DeviceLoad::Arrived>> DeviceLoad::make_contents(const Lane& lane, Arena& work,
                                                                   gpu::DeviceSpan there,
                                                                   const Slab& slab) {
  std::vector<LandedUnit> landed;
  for (const Slab::Filled& filled : slab.filled) {
    const StagedUnit& unit = filled.parcel.unit;
    landed.push_back({filled.offset, unit.bytes, unit.plane_item_bytes});
  }
  CAIRN_TRY(const auto places, join_landed(lane, work, there, landed));
  std::vector<Arrived> contents;
  std::vector<CastUnit> casts;
  std::vector<size_t> numbers;  // of their contents
  for (size_t i = 0; i < places.size(); ++i) {
    const auto& [parcel, offset] = slab.filled[i];
    contents.push_back({&parcel.unit, places[i]});
    if (!parcel.derived) continue;
    CastUnit& made = casts.emplace_back();
    made = {places[i], parcel.derived->cast, parcel.derived->unit.bytes};
    if (!parcel.corrections.bytes.empty()) {
      made.corrections = &parcel.corrections;
      made.codes = there.data + offset + landed_bytes(parcel.unit.bytes);
    }
    numbers.push_back(contents.size());
    contents.push_back({&parcel.derived->unit, nullptr});
  }
  if (casts.empty()) return contents;
  CAIRN_TRY(const auto made, cast_units(lane, work, casts));
  for (size_t i = 0; i < made.size(); ++i) contents[numbers[i]].data = made[i];
  return contents;
}

Status DeviceLoad::send(Inflow& inflow, const std::shared_ptr<Slab>& slab) {
  if (slab->is_broken || slab->filled.empty()) return {};
  Lane& lane = *inflow.lane;
  const unsigned turn = inflow.turn++;
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane.device()));
  Arena& memory = lane.slab(turn);
  Arena& work = lane.digests(turn);
  // The slab's memory on the device is free when what was there two turns ago was scattered.
  CAIRN_CHECK(gpu::wait_for(lane.copies(), lane.copied(turn)));
  memory.clear();
  work.clear();
  CAIRN_TRY(const gpu::DeviceSpan there, take_room(memory, slab->bytes));
  CAIRN_CHECK(gpu::copy_up(lane.copies(), there.data, slab->slot.span().first(slab->bytes)));
  sent_bytes_ += slab->bytes;
  gpu::Event landed;
  CAIRN_TRY(landed, gpu::Event::make());
  CAIRN_CHECK(landed.record(lane.copies()));
  CAIRN_CHECK(gpu::wait_for(lane.work(), landed));
  CAIRN_TRY(const auto contents, make_contents(lane, work, there, *slab));
  std::vector<gpu::Tile> tiles;
  std::vector<SlabChunk> chunks;
  for (const Arrived& content : contents) {
    const StagedUnit& unit = *content.unit;
    chunks.push_back({content.data, unit.box, unit.item_bytes, unit.targets});
    if (!unit.digest) continue;
    tiles.push_back({content.data, unit.bytes});
    slab->checked.push_back(&unit);
  }
  if (!tiles.empty()) {
    CAIRN_TRY(const gpu::DeviceSpan digests, enqueue_digests(lane, lane.work(), work, tiles));
    const MutableBytes told = slab->slot.span().subspan(slab->bytes, digests.bytes);
    CAIRN_CHECK(gpu::copy_down(lane.work(), told, digests.data));
    slab->told = told;
  }
  CAIRN_CHECK(scatter_chunks(lane, work, chunks));
  CAIRN_CHECK(lane.copied(turn).record(lane.work()));
  CAIRN_TRY(slab->done, gpu::Event::make());
  CAIRN_CHECK(slab->done.record(lane.work()));
  inflow.sent.push_back(slab);
  return {};
}

/// Waits until the oldest slab that was sent is done, and looks at what the device says of it.
Status DeviceLoad::settle_oldest(Inflow& inflow) {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(inflow.lane->device()));
  const auto slab = std::move(inflow.sent.front());
  inflow.sent.pop_front();
  inflow.status = slab->done.wait();
  CAIRN_CHECK(inflow.status);
  for (size_t i = 0; i < slab->checked.size(); ++i) {
    const StagedUnit& unit = *slab->checked[i];
    const uint8_t* const told = &slab->told[sizeof(Digest) * i];
    if (std::memcmp(told, unit.digest->bytes.data(), sizeof(Digest)) == 0) continue;
    inflow.status = tl::unexpected(unit.corrupt());
    return inflow.status;
  }
  return {};
}

/// By plain copies, without memory of the device to work with: the host checks and converts.
Status DeviceLoad::carry(const StagedUnit& unit, const std::function<Status(MutableBytes)>& fill) {
  const AlignedBuffer room(unit.bytes);
  const MutableBytes bytes = room.span().first(unit.bytes);
  CAIRN_CHECK(fill(bytes));
  if (unit.digest && blake3(bytes) != *unit.digest) return tl::unexpected(unit.corrupt());
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(unit.device));
  gpu::OwnStream stream;
  CAIRN_TRY(stream, gpu::OwnStream::make());
  const StridedSource whole{bytes.data(), contiguous_strides(unit.box.lengths, unit.item_bytes)};
  for (const TargetBox* target : unit.targets) {
    const auto common = intersect(unit.box, target->box);
    if (!common) continue;
    const uint64_t wanted_bytes =
        target->stored == target->wanted ? unit.item_bytes : bits_per_element(target->wanted) / 8;
    const auto strides = contiguous_strides(common->lengths, wanted_bytes);
    const AlignedBuffer made(common->elements() * wanted_bytes);
    copy_converted(sub_box(whole, unit.box, *common), {made.data(), strides}, common->lengths,
                   *target);
    CAIRN_CHECK(carry_box(stream.stream(), {made.data(), strides},
                          sub_box(target->memory, target->box, *common), common->lengths,
                          wanted_bytes, false));
    sent_bytes_ += common->elements() * wanted_bytes;
    CAIRN_CHECK(gpu::synchronize(stream.stream()));
  }
  return {};
}

Status DeviceLoad::finish() {
  for (auto& [device, inflow] : inflows_) {
    const Lock lock(inflow.mutex);
    CAIRN_CHECK(inflow.status);
    CAIRN_CHECK(seal(inflow));
    while (!inflow.sent.empty()) CAIRN_CHECK(settle_oldest(inflow));
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device));
    CAIRN_CHECK(inflow.lane->finish());
  }
  return {};
}

std::vector<std::string> DeviceLoad::notes() const {
  std::vector<std::string> notes;
  for (const auto& [device, inflow] : inflows_) {
    if (!inflow.lane->has_room()) notes.push_back(staging_.no_room_note(device));
  }
  return notes;
}

}  // namespace cairn
