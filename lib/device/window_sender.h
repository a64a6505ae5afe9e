// Wanted chunks of a save on their way to the host, many at a time: whole, or, where what was there
// before lies beside them on the device, what differs.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "lib/device/coded_landing.h"
#include "lib/device/device_staging.h"
#include "lib/device/slab_storing.h"
#include "lib/device/staged_piece.h"

namespace cairn {

/// Threads: one at a time.
class WindowSender {
 public:
  /// REQUIRES: all outlive this.
  WindowSender(const StagingOptions& options, const Lanes& lanes, Slots& slots, ChunkSteps& steps,
               SlabStoring& storing)
      : options_(options), lanes_(lanes), slots_(slots), steps_(steps), storing_(storing) {}

  /// Sends all of them. Errors: the device's; what storing failed with.
  Status send(std::vector<ChunkPieces> chunks);

 private:
  /// Chunks whose changes are worked out on a device.
  struct Coding {
    std::vector<ChunkUnits> chunks;
    Slots::Slot slot;
    CodedLanding landing;
  };

  bool may_be_coded(const ChunkPieces& chunk) const;
  Status send_coded(std::vector<ChunkPieces> chunks);
  Status begin_coding(Lane& lane, std::vector<ChunkPieces> chunks);
  Status finish_coding();
  Status send_whole(std::vector<ChunkPieces> chunks);
  Status send_window(std::vector<ChunkPieces> chunks);
  Status carry_window(std::span<const StagedPiece* const> pieces, MutableBytes& host,
                      Window& window);
  Status land_window(Lane& lane, std::span<const StagedPiece* const> pieces, MutableBytes& host,
                     Window& window);
  Status give(Window window);
  Result<TransferRecipes> recipes_of(const ChunkPieces& chunk);
  Status learn(const ChunkPieces& chunk);

  const StagingOptions& options_;
  const Lanes& lanes_;
  Slots& slots_;
  ChunkSteps& steps_;
  SlabStoring& storing_;
  std::map<Lane*, unsigned> turns_;  // slabs filled so far
  std::optional<Coding> coding_;
};

}  // namespace cairn
