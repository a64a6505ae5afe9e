// Chunks that are hardly other than predicted, on their way to the host: what corrects the
// prediction crosses over, and whole what nothing predicts (lib/transfer_recipes.h). Whether that
// is less than the chunks themselves, and whether what was there before is what the base tag has,
// is known when the device has looked: so it takes two halves, between which another slab may be
// worked on.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lib/device/landing.h"
#include "lib/device/rebuild.h"
#include "lib/device/staged_piece.h"

namespace cairn {

/// Bytes of chunks that one CodedLanding takes at most: they, what was before and what is sent
/// share a slab's memory.
uint64_t coded_bytes_most(const StagingOptions& options);

/// A chunk's units, all on one device with what was before beside them, and how they travel.
struct CodedUnits {
  std::vector<StagedPiece> pieces;
  TransferRecipes recipes;  ///< of each
};

/// What has come, once it has landed.
struct LandedCodes {
  gpu::Event landed;
  std::vector<std::vector<SentUnit>> sent;  ///< of each unit of each chunk
  /// Set when whole contents are sent after all: those of all pieces, in order.
  std::optional<Landing> contents;
};

class CodedLanding {
 public:
  /// Enqueues the first half. REQUIRES: coded_bytes_most(). `host`: pinned, of a slab's size and
  /// more. Errors: kNoSpace; kFailed.
  static Result<CodedLanding> begin(Lane& lane, unsigned turn,
                                    const std::vector<CodedUnits>& chunks, MutableBytes host);
  /// Waits for it and enqueues the second half. The slab of that turn is in use until then.
  Result<LandedCodes> finish();

  Lane& lane() const { return *lane_; }
  const std::vector<CodedUnits>& chunks() const { return chunks_; }

 private:
  /// Where a unit is among all: contents are numbered chunk by chunk.
  struct Place {
    size_t chunk = 0, unit = 0, content = 0;
  };
  /// Units that one call of the device treats alike.
  struct Group {
    gpu::Transform transform;
    std::vector<Place> places;
    std::vector<gpu::TransformChunk> items;
    std::optional<gpu::TransformPlan> plan;
    gpu::CodedSpans spans;
  };

  std::vector<const Content*> contents() const;
  Group& group_of(const TransferRecipe& recipe);
  Status add(const Place& place, Arena& arena);
  Status encode(Group& group, Arena& arena);
  Status look(Arena& arena);
  bool are_bases() const;
  bool have_room() const;
  uint64_t values_bytes(size_t group) const;
  uint64_t coded_bytes() const;
  Result<LandedCodes> send_codes();

  Lane* lane_ = nullptr;
  unsigned turn_ = 0;
  std::vector<CodedUnits> chunks_;
  std::vector<Place> whole_;  // what nothing predicts
  Gathered now_, before_;
  std::vector<Group> groups_;
  gpu::DeviceSpan digests_;  // of all contents, then of what was before
  MutableBytes host_, told_;
  gpu::Event seen_;
};

}  // namespace cairn
