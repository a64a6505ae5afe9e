// Pinned slabs of the host's memory that bytes of devices land in, each until what it holds is
// stored. Their number bounds the memory of saves; who finds none free waits for the disk.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "gpu/pinned_memory.h"

namespace cairn {

/// Threads: any.
class Slots {
 public:
  /// As many of `slot_bytes` as `bytes` have, two at least; fewer when the system pins no more.
  /// Errors: kNoSpace when it pins not even one.
  static Result<std::unique_ptr<Slots>> make(uint64_t bytes, uint64_t slot_bytes);

  /// A slot, for as long as it lives. REQUIRES: its Slots outlive it.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept { swap(other); }
    Slot& operator=(Slot&& other) noexcept {
      Slot taken(std::move(other));
      swap(taken);
      return *this;
    }
    ~Slot() {
      if (slots_ != nullptr) slots_->give_back(number_);
    }
    MutableBytes span() const {
      return slots_ == nullptr ? large_.span() : slots_->memory_[number_].span();
    }

   private:
    friend class Slots;
    void swap(Slot& other) noexcept {
      std::swap(slots_, other.slots_);
      std::swap(number_, other.number_);
      std::swap(large_, other.large_);
    }
    Slots* slots_ = nullptr;
    size_t number_ = 0;
    AlignedBuffer large_;
  };

  /// nullopt when none is free.
  std::optional<Slot> try_take();
  /// Waits until one is free. What no slot has room for gets ordinary memory of its own.
  Slot take(uint64_t bytes);

  uint64_t slot_bytes() const { return slot_bytes_; }
  size_t count() const { return memory_.size(); }

 private:
  explicit Slots(uint64_t slot_bytes) : slot_bytes_(slot_bytes) {}
  Slot take_free();
  void give_back(size_t number);

  const uint64_t slot_bytes_;
  std::vector<gpu::PinnedMemory> memory_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<size_t> free_;
};

}  // namespace cairn
