#include "lib/device/slots.h"

#include <algorithm>

namespace cairn {

Result<std::unique_ptr<Slots>> Slots::make(uint64_t bytes, uint64_t slot_bytes) {
  std::unique_ptr<Slots> slots(new Slots(slot_bytes));
  const uint64_t wanted = std::max<uint64_t>(bytes / slot_bytes, 2);
  while (slots->memory_.size() < wanted) {
    auto memory = gpu::PinnedMemory::allocate(slot_bytes);
    if (!memory && slots->memory_.empty()) return tl::unexpected(memory.error());
    if (!memory) break;
    slots->free_.push_back(slots->memory_.size());
    slots->memory_.push_back(*std::move(memory));
  }
  return slots;
}

std::optional<Slots::Slot> Slots::try_take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return std::nullopt;
  return take_free();
}

Slots::Slot Slots::take_free() {
  Slot slot;
  slot.slots_ = this;
  slot.number_ = free_.back();
  free_.pop_back();
  return slot;
}

Slots::Slot Slots::take(uint64_t bytes) {
  if (bytes > slot_bytes_) {
    Slot slot;
    slot.large_ = AlignedBuffer(bytes);
    return slot;
  }
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [&] { return !free_.empty(); });
  return take_free();
}

void Slots::give_back(size_t number) {
  const std::lock_guard lock(mutex_);
  free_.push_back(number);
  freed_.notify_one();
}

}  // namespace cairn
