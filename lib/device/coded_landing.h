// Contents that hardly differ from what was there before, on their way to the host: only where they
// differ, and by what, crosses over (lib/device/sparse_codes.h). Whether that is less than the
// contents themselves, and whether what was there before is what the base tag has, is known when
// the device has looked: so it takes two halves, between which another slab may be worked on.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lib/device/landing.h"
#include "lib/device/sparse_codes.h"
#include "lib/device/staged_piece.h"

namespace cairn {

/// Bytes of contents that one CodedLanding takes at most: they, what was before and what differs
/// share a slab's memory.
uint64_t coded_bytes_most(const StagingOptions& options);

/// Changes of contents in the host's memory, once they have landed.
struct LandedCodes {
  gpu::Event landed;
  std::vector<SparseCodes> codes;  ///< of each content
  Landing contents;                ///< if whole contents were sent after all, those; else unused
  bool is_whole = false;
};

class CodedLanding {
 public:
  /// Enqueues the first half. REQUIRES: all pieces are of this lane and have what was before;
  /// coded_bytes_most(). `host`: as for Landing::begin(). Errors: kNoSpace; kFailed.
  static Result<CodedLanding> begin(Lane& lane, unsigned turn, std::vector<StagedPiece> pieces,
                                    std::span<const ItemForm> forms, MutableBytes host);
  /// Waits for it and enqueues the second half. The slab of that turn is in use until then.
  Result<LandedCodes> finish();

  const std::vector<StagedPiece>& pieces() const { return pieces_; }

 private:
  /// Contents whose items have the same width.
  struct Group {
    unsigned item_bytes = 1;
    std::vector<size_t> contents;
    std::optional<gpu::TransformPlan> plan;
    gpu::CodedSpans spans;
  };

  Status encode(Group& group, Arena& arena);
  bool is_base(size_t content) const;
  uint64_t values_bytes(size_t group) const;
  Result<LandedCodes> send_codes();

  Lane* lane_ = nullptr;
  unsigned turn_ = 0;
  std::vector<StagedPiece> pieces_;
  Gathered now_, before_;
  std::vector<Group> groups_;
  gpu::DeviceSpan digests_;  // of all contents, then of what was before
  MutableBytes host_, told_;
  gpu::Event seen_;
};

}  // namespace cairn
