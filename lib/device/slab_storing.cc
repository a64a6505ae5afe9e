#include "lib/device/slab_storing.h"

#include <fmt/format.h>

#include "base/memory_guard.h"

namespace cairn {

SlabStoring::SlabStoring(const SavePlan& plan, ChunkSteps& steps, const CallOptions& call,
                         size_t windows_most)
    : plan_(plan), steps_(steps), call_(call), windows_(windows_most) {
  thread_ = std::thread([this] { run(); });
}

SlabStoring::~SlabStoring() {
  is_given_up_ = true;
  static_cast<void>(finish().has_value());
}

Status SlabStoring::finish() {
  windows_.close();
  if (thread_.joinable()) thread_.join();
  return status_;
}

void SlabStoring::run() {
  while (auto window = windows_.pop()) {
    if (is_given_up_ || !status_) continue;
    status_ = guard_memory([&] { return store(*window); });
    if (!status_) windows_.close();
  }
}

/// The unit's bytes are here. REQUIRES: nobody changes them.
static void place(DigestedUnit& unit, ByteSpan bytes) {
  unit.rows = {bytes.data(), bytes.size()};
  unit.is_copied = true;
}

Status SlabStoring::check(const DigestedUnit& unit, const Digest& landed) const {
  if (unit.digest == landed) return {};
  return changed_while_saved(plan_.name(unit.unit.item));
}

Status SlabStoring::store(Window& window) {
  for (const auto& [landing, units] : window.landed) {
    CAIRN_CHECK(landing.wait());
    for (size_t i = 0; i < units.size(); ++i) {
      CAIRN_CHECK(check(*units[i], landing.digest(i)));
      place(*units[i], landing.bytes(i));
    }
  }
  CAIRN_CHECK(parallel_for(window.carried.size(), call_.threads, [&](uint64_t i) {
    const auto& [unit, bytes] = window.carried[i];
    place(*unit, bytes);
    return check(*unit, blake3(bytes));
  }));
  return parallel_for(window.chunks.size(), call_.threads,
                      [&](uint64_t i) { return steps_.store(window.chunks[i]); });
}

}  // namespace cairn
