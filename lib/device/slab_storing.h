// The second half of a save from devices: chunks whose bytes have landed are checked and stored, in
// a thread beside the one that brings them.
#pragma once

#include <thread>
#include <vector>

#include "base/pipeline.h"
#include "lib/cairn.hpp"
#include "lib/chunk_units.h"
#include "lib/device/landing.h"
#include "lib/device/slots.h"
#include "lib/device/sparse_codes.h"

namespace cairn {

/// Chunks whose bytes come together, and the memory they come to.
struct Window {
  struct Landed {
    Landing landing;
    std::vector<DigestedUnit*> units;  // by content
  };
  struct Carried {
    DigestedUnit* unit = nullptr;
    ByteSpan bytes;
  };

  std::vector<ChunkUnits> chunks;
  Slots::Slot slot;
  std::vector<Landed> landed;
  std::vector<Carried> carried;
  /// If there are any, of each unit of each chunk: all that has come of them.
  std::vector<SparseCodes> codes;
  gpu::Event codes_landed;
};

/// Threads: one gives; run by one of its own.
class SlabStoring {
 public:
  SlabStoring(const SavePlan& plan, ChunkSteps& steps, const CallOptions& call,
              size_t windows_most);
  /// Gives up what is not yet stored.
  ~SlabStoring();

  /// Waits while too many are under way. False when storing has failed.
  bool give(Window window) { return windows_.push(std::move(window)); }
  /// Waits until all is stored. Errors: what storing failed with; kUsage naming a tensor that has
  /// changed after it was digested.
  Status finish();

 private:
  void run();
  Status store(Window& window);
  Status store_coded(Window& window);
  Status store_coded(ChunkUnits& chunk, std::span<const SparseCodes> codes);
  Status check(const DigestedUnit& unit, const Digest& landed) const;

  const SavePlan& plan_;
  ChunkSteps& steps_;
  const CallOptions& call_;
  BoundedQueue<Window> windows_;
  std::atomic<bool> is_given_up_ = false;
  Status status_;
  std::thread thread_;
};

}  // namespace cairn
