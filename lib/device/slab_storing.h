// The second half of a save from devices: chunks whose bytes have landed are checked and stored, in
// a thread beside the one that brings them.
#pragma once

#include <thread>
#include <vector>

#include "base/pipeline.h"
#include "lib/device/landing.h"
#include "lib/device/rebuild.h"
#include "lib/device/slots.h"
#include "lib/staged_calls.h"

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
  /// Of chunks that are rebuilt: what has come of each unit of each, and how to use it.
  std::vector<std::vector<SentUnit>> sent;
  std::vector<TransferRecipes> recipes;
  gpu::Event sent_landed;
};

/// Threads: one gives; run by one of its own.
class SlabStoring {
 public:
  /// `device`: one that the call has to do with anyway.
  SlabStoring(const SavePlan& plan, ChunkSteps& steps, const CallOptions& call, size_t windows_most,
              unsigned device);
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
  Status store_rebuilt(Window& window);
  Status store_rebuilt(ChunkUnits& chunk, const TransferRecipes& recipes,
                       std::span<const SentUnit> sent);
  Status check(const DigestedUnit& unit, const Digest& landed) const;

  const SavePlan& plan_;
  ChunkSteps& steps_;
  const CallOptions& call_;
  const unsigned device_;
  BoundedQueue<Window> windows_;
  std::atomic<bool> is_given_up_ = false;
  Status status_;
  std::thread thread_;
};

}  // namespace cairn
