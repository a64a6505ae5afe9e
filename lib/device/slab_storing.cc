#include "lib/device/slab_storing.h"

#include <algorithm>

#include "base/memory_guard.h"

namespace cairn {

SlabStoring::SlabStoring(const SavePlan& plan, ChunkSteps& steps, const CallOptions& call,
                         size_t windows_most, unsigned device)
    : plan_(plan), steps_(steps), call_(call), device_(device), windows_(windows_most) {
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
  // Waiting for an event must make no context on a device that is not the call's.
  static_cast<void>(gpu::use_device(device_).has_value());
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
  return changed_while_read(plan_.name(unit.unit.item));
}

/// The rooms of a thread for units of a chunk: as they were, and as they are.
static std::vector<MutableBytes> rooms_of(const ChunkUnits& chunk, AlignedBuffer& memory) {
  uint64_t bytes = 0;
  for (const DigestedUnit& unit : chunk.units) bytes += 2 * landed_bytes(unit.bytes);
  if (memory.size() < bytes) memory = AlignedBuffer(bytes);
  std::vector<MutableBytes> rooms;
  MutableBytes rest = memory.span();
  for (int turn = 0; turn < 2; ++turn) {
    for (const DigestedUnit& unit : chunk.units) {
      rooms.push_back(rest.first(unit.bytes));
      rest = rest.subspan(landed_bytes(unit.bytes));
    }
  }
  return rooms;
}

Status SlabStoring::store_rebuilt(ChunkUnits& chunk, const TransferRecipes& recipes,
                                  std::span<const SentUnit> sent) {
  thread_local AlignedBuffer memory;
  const size_t count = chunk.units.size();
  const auto rooms = rooms_of(chunk, memory);
  const std::span before = std::span(rooms).first(count), now = std::span(rooms).last(count);
  CAIRN_CHECK(steps_.recall(chunk, before));
  CAIRN_CHECK(rebuild(recipes, sent, before, now));
  for (size_t i = 0; i < count; ++i) {
    DigestedUnit& unit = chunk.units[i];
    CAIRN_CHECK(check(unit, blake3(now[i])));
    place(unit, now[i]);
    unit.before = before[i];
  }
  return steps_.store(chunk);
}

Status SlabStoring::store_rebuilt(Window& window) {
  CAIRN_CHECK(window.sent_landed.wait());
  return parallel_for(window.chunks.size(), call_.threads, [&](uint64_t i) {
    return store_rebuilt(window.chunks[i], window.recipes[i], window.sent[i]);
  });
}

Status SlabStoring::store(Window& window) {
  if (!window.sent.empty()) return store_rebuilt(window);
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
