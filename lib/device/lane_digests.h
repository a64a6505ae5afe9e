// Digests of many contents on one device: enqueued, and later waited for.
#pragma once

#include <span>
#include <vector>

#include "base/digest.h"
#include "lib/device/content.h"
#include "lib/device/lane.h"

namespace cairn {

/// What a content takes of an area of a lane.
uint64_t digest_cost(const Content& content);

class LaneDigests {
 public:
  /// Enqueues. The area of this turn must be done with. Errors: kNoSpace; kFailed.
  static Result<LaneDigests> begin(Lane& lane, unsigned turn,
                                   std::span<const Content* const> contents);
  /// Waits. The digests, in the order of the contents.
  Result<std::vector<Digest>> finish() const;

 private:
  MutableBytes told_;
  gpu::Event done_;
};

}  // namespace cairn
