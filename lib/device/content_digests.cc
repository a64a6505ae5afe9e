#include "lib/device/content_digests.h"

#include <utility>

#include "lib/device/carry.h"

namespace cairn {

Status ContentDigests::add(size_t place, Content content) {
  const uint64_t cost = digest_cost(content), most = lane_.digests(0).bytes();
  if (!lane_.has_room() || cost > most) return carry(place, content);
  if (cost > most - cost_) CAIRN_CHECK(begin());
  cost_ += cost;
  places_.push_back(place);
  contents_.push_back(std::move(content));
  return {};
}

Status ContentDigests::finish() {
  CAIRN_CHECK(begin());
  return settle();
}

Status ContentDigests::carry(size_t place, const Content& content) {
  if (room_.size() < content.bytes) room_ = AlignedBuffer(content.bytes);
  const MutableBytes bytes = room_.span().first(content.bytes);
  CAIRN_CHECK(cairn::carry({{lane_.device(), &lane_}}, content, bytes));
  digests_[place] = blake3(bytes);
  return {};
}

/// Enqueues what was added, and takes what was enqueued before.
Status ContentDigests::begin() {
  CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(lane_.device()));
  std::optional<LaneDigests> next;
  if (!contents_.empty()) {
    std::vector<const Content*> contents;
    for (const Content& content : contents_) contents.push_back(&content);
    CAIRN_TRY(next, LaneDigests::begin(lane_, turn_++, contents));
  }
  CAIRN_CHECK(settle());
  under_way_ = std::move(next);
  places_under_way_ = std::exchange(places_, {});
  contents_.clear();
  cost_ = 0;
  return {};
}

Status ContentDigests::settle() {
  if (!under_way_) return {};
  CAIRN_TRY(const auto made, under_way_->finish());
  for (size_t i = 0; i < made.size(); ++i) digests_[places_under_way_[i]] = made[i];
  under_way_.reset();
  return {};
}

}  // namespace cairn
