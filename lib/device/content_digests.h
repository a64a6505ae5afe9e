// Digests of any number of contents on one device: an area of its memory is hashed while the
// digests of the one before come.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "lib/device/content.h"
#include "lib/device/lane.h"
#include "lib/device/lane_digests.h"

namespace cairn {

class ContentDigests {
 public:
  /// REQUIRES: both outlive this.
  ContentDigests(Lane& lane, std::vector<Digest>& digests) : lane_(lane), digests_(digests) {}

  /// digests[place] becomes the content's by finish(). What the device has no room for is copied to
  /// the host. REQUIRES: a content of the lane's device. Errors: kFailed.
  Status add(size_t place, Content content);
  Status finish();

 private:
  Status carry(size_t place, const Content& content);
  Status begin();
  Status settle();

  Lane& lane_;
  std::vector<Digest>& digests_;
  std::vector<size_t> places_, places_under_way_;
  std::vector<Content> contents_;
  std::optional<LaneDigests> under_way_;
  uint64_t cost_ = 0;
  unsigned turn_ = 0;
  AlignedBuffer room_;
};

}  // namespace cairn
