#include "lib/load_delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lib/convert.h"
#include "store/pack_reader.h"

namespace cairn {

Status LoadDelivery::check_length(const ReadUnit& unit, uint64_t bytes) const {
  const uint64_t wanted = bytes_of(unit);
  if (bytes == wanted) return {};
  return fail(Code::kCorrupt,
              fmt::format("its locator says {} bytes instead of {}", bytes, wanted));
}

std::optional<MutableBytes> LoadDelivery::place_of(const ReadUnit& unit) const {
  const TargetBox& target = targets_[unit.targets.front()];
  const bool is_whole = !target.device && unit.inline_bytes.empty() && unit.targets.size() == 1 &&
                        target.stored == target.wanted && contains(target.box, unit.box);
  if (!is_whole || unit.copy.decoded_bytes != bytes_of(unit)) return std::nullopt;
  const StridedTarget memory = sub_box(target.memory, target.box, unit.box);
  const auto rows = as_rows(memory.strides_bytes, unit.box.lengths, target.item_bytes);
  if (!rows || rows->rows != 1) return std::nullopt;
  return MutableBytes(memory.data, unit.copy.decoded_bytes);
}

bool LoadDelivery::is_of_one_device(const ReadUnit& unit) const {
  const auto device = targets_[unit.targets.front()].device;
  return device && unit.inline_bytes.empty() && unit.copy.decoded_bytes == bytes_of(unit) &&
         std::all_of(unit.targets.begin(), unit.targets.end(),
                     [&](uint32_t number) { return targets_[number].device == device; });
}

void LoadDelivery::count_done(uint64_t bytes) const {
  if (request_.call.progress != nullptr) request_.call.progress->done_bytes += bytes;
}

void copy_converted(const StridedSource& source, const StridedTarget& memory,
                    const std::vector<uint64_t>& lengths, const TargetBox& target) {
  if (target.stored == target.wanted) {
    return copy_box(source, memory, lengths, target.item_bytes);
  }
  uint64_t items = 1;
  for (const uint64_t length : lengths) items *= length;
  const uint64_t wanted_bytes = bits_per_element(target.wanted) / 8;
  Bytes stored(items * target.item_bytes), wanted(items * wanted_bytes);
  copy_box(source, {stored.data(), contiguous_strides(lengths, target.item_bytes)}, lengths,
           target.item_bytes);
  convert(target.stored, stored.data(), target.wanted, wanted.data(), items);
  copy_box({wanted.data(), contiguous_strides(lengths, wanted_bytes)}, memory, lengths,
           wanted_bytes);
}

/// Returns how many bytes of the unit went there.
uint64_t LoadDelivery::copy_to_host(const ReadUnit& unit, const TargetBox& target,
                                    ByteSpan decoded) const {
  const auto common = intersect(unit.box, target.box);
  if (!common) return 0;
  const StridedSource whole{decoded.data(),
                            contiguous_strides(unit.box.lengths, target.item_bytes)};
  copy_converted(sub_box(whole, unit.box, *common), sub_box(target.memory, target.box, *common),
                 common->lengths, target);
  return common->elements() * target.item_bytes;
}

/// What the targets of a unit get of it.
static uint64_t bytes_for_targets(const StagedUnit& unit) {
  uint64_t bytes = 0;
  for (const TargetBox* target : unit.targets) {
    const auto common = intersect(unit.box, target->box);
    if (common) bytes += common->elements() * target->item_bytes;
  }
  return bytes;
}

/// To a device, behind what is on its way there.
Status LoadDelivery::put(StagedUnit unit, const std::function<Status(MutableBytes)>& fill) const {
  const uint64_t bytes = bytes_for_targets(unit);
  CAIRN_CHECK(staged_->put(std::move(unit), fill));
  count_done(bytes);
  return {};
}

/// What goes to one of the devices.
StagedUnit LoadDelivery::staged_unit(const ReadUnit& unit, unsigned device) const {
  StagedUnit staged{device, bytes_of(unit), targets_[unit.targets.front()].item_bytes, unit.box};
  for (const uint32_t number : unit.targets) {
    const TargetBox& target = targets_[number];
    if (target.device == device) staged.targets.push_back(&target);
  }
  return staged;
}

Status LoadDelivery::scatter(const ReadUnit& unit, ByteSpan decoded) const {
  std::set<unsigned> devices;
  for (const uint32_t number : unit.targets) {
    const TargetBox& target = targets_[number];
    if (target.device) {
      devices.insert(*target.device);
    } else {
      count_done(copy_to_host(unit, target, decoded));
    }
  }
  for (const unsigned device : devices) {
    CAIRN_CHECK(put(staged_unit(unit, device), [&](MutableBytes room) -> Status {
      std::copy(decoded.begin(), decoded.end(), room.begin());
      return {};
    }));
  }
  return {};
}

/// For the one device that wants it, which checks it.
StagedUnit LoadDelivery::unchecked_unit(const ReadUnit& unit) const {
  StagedUnit staged = staged_unit(unit, *targets_[unit.targets.front()].device);
  staged.digest = unit.digest;
  staged.corrupt = [this, copy = unit.copy, tensor = unit.tensor, chunk = unit.chunk] {
    ReadUnit named;
    named.tensor = tensor;
    named.chunk = chunk;
    Error found = about(named, other_digest(copy));
    const std::lock_guard lock(found_mutex_);
    found_by_device_ = found;
    return found;
  };
  return staged;
}

Status LoadDelivery::send(const ReadUnit& unit, unsigned plane_item_bytes,
                          const std::function<Status(MutableBytes)>& fill) const {
  StagedUnit staged = unchecked_unit(unit);
  staged.plane_item_bytes = plane_item_bytes;
  return put(std::move(staged), fill);
}

bool LoadDelivery::go_together(const ReadUnit& unit, const ReadUnit& derived) const {
  return is_of_one_device(unit) && is_of_one_device(derived) &&
         targets_[unit.targets.front()].device == targets_[derived.targets.front()].device;
}

Result<bool> LoadDelivery::send_with(const Sent& sent, const ReadUnit& derived, Cast cast,
                                     ByteSpan residuals) const {
  StagedUnit unit = unchecked_unit(sent.unit);
  if (sent.is_checked) unit.digest.reset();
  unit.plane_item_bytes = sent.plane_item_bytes;
  DerivedUnit made{unchecked_unit(derived), cast, residuals};
  const uint64_t bytes = bytes_for_targets(unit) + bytes_for_targets(made.unit);
  CAIRN_TRY(const bool is_sent, staged_->put_with(std::move(unit), sent.fill, std::move(made)));
  if (is_sent) count_done(bytes);
  return is_sent;
}

bool LoadDelivery::is_of_device(const Error& error) const {
  const std::lock_guard lock(found_mutex_);
  return found_by_device_ && found_by_device_->message == error.message;
}

Error LoadDelivery::about(const ReadUnit& unit, Error error) const {
  if (is_of_device(error)) return error;
  error.message = fmt::format("tag '{}', tensor '{}', chunk {}: {}", checkpoint_.tag().name,
                              checkpoint_.item_name(unit.tensor), unit.chunk, error.message);
  if (error.code == Code::kCorrupt && error.hint.empty()) {
    error.hint = "run 'cairn check --read-data' to see what else is damaged";
  }
  return error;
}

}  // namespace cairn
