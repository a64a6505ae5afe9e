#include "store/sealing_packs.h"

#include "base/beside.h"
#include "base/memory_guard.h"

namespace cairn {

Status SealingPacks::seal(OpenPack& pack) {
  CAIRN_CHECK(pack.seal());
  sealed_bytes_ += pack.bytes();
  return {};
}

Status SealingPacks::add(std::unique_ptr<OpenPack> pack) {
  if (width() == 0) return seal(*pack);
  const std::lock_guard lock(mutex_);
  while (under_way_.size() >= width()) CAIRN_CHECK(wait_for_oldest());
  const uint64_t bytes = pack->bytes();
  waiting_bytes_ += bytes;
  const auto send = [this, bytes, full = std::shared_ptr<OpenPack>(std::move(pack))]() mutable {
    const Status sealed = guard_memory([&] { return seal(*full); });
    full.reset();  // not only when the future goes
    waiting_bytes_ -= bytes;
    count_sent(bytes);
    return sealed;
  };
  under_way_.push_back(run_beside(send));
  return {};
}

size_t SealingPacks::width() const {
  const std::lock_guard lock(width_mutex_);
  return width_.width();
}

void SealingPacks::count_sent(uint64_t bytes) {
  const std::lock_guard lock(width_mutex_);
  width_.sent(bytes, now_());
}

/// REQUIRES: mutex_ is held.
Status SealingPacks::wait_for_oldest() {
  std::future<Status> oldest = std::move(under_way_.front());
  under_way_.pop_front();
  return oldest.get();
}

Status SealingPacks::finish() {
  const std::lock_guard lock(mutex_);
  Status first;
  while (!under_way_.empty()) {
    Status sealed = wait_for_oldest();
    if (first) first = std::move(sealed);
  }
  return first;
}

}  // namespace cairn
