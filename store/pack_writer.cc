#include "store/pack_writer.h"

#include <algorithm>

namespace cairn {

Status PackWriter::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Status PackWriter::stick(Status done) {
  const std::lock_guard lock(mutex_);
  if (state_ && !done) state_ = std::move(done);
  return state_;
}

void PackWriter::write_through(size_t lanes) {
  mode_ = WriteMode::kThrough;
  lanes_max_ = std::clamp<size_t>(lanes, 1, kLanesMax);
}

std::pair<PackWriter::Lane*, std::unique_lock<std::mutex>> PackWriter::take_lane() {
  const size_t lanes = std::min<uint64_t>(lanes_max_, 1 + appended_bytes_ / kBytesForLane);
  for (size_t i = 0; i < lanes; ++i) {
    std::unique_lock lock(lanes_[i].mutex, std::try_to_lock);
    if (lock) return {&lanes_[i], std::move(lock)};
  }
  Lane& lane = lanes_[next_lane_++ % lanes];
  return {&lane, std::unique_lock(lane.mutex)};
}

Status PackWriter::begin_in(Lane& lane) {
  // Counted first: a file of that number may be there even if it could not be begun.
  const FileId file = take_file();
  CAIRN_TRY(lane.pack, OpenPack::begin(fs_, store_path_, file, &backlog_bytes_, mode_));
  return {};
}

Status PackWriter::seal_in(Lane& lane) {
  if (lane.pack == nullptr) return {};
  CAIRN_CHECK(lane.pack->seal());
  sealed_bytes_ += lane.pack->bytes();
  lane.pack.reset();
  return {};
}

Result<Copy> PackWriter::append_in(Lane& lane, const NewCopy& copy) {
  if (lane.pack != nullptr && !lane.pack->is_empty() &&
      lane.pack->bytes() + copy.stored.size() > pack_bytes_) {
    CAIRN_CHECK(seal_in(lane));
  }
  if (lane.pack == nullptr) CAIRN_CHECK(begin_in(lane));
  appended_bytes_ += copy.stored.size();
  return lane.pack->append(copy);
}

Result<Copy> PackWriter::append(const NewCopy& copy) {
  const auto [lane, lock] = take_lane();
  CAIRN_CHECK(state());
  auto appended = append_in(*lane, copy);
  if (!appended) (void)stick(tl::unexpected(appended.error())).has_value();
  return appended;
}

Status PackWriter::finish() {
  CAIRN_CHECK(state());
  for (Lane& lane : lanes_) {
    const std::lock_guard lock(lane.mutex);
    CAIRN_CHECK(stick(seal_in(lane)));
  }
  return {};
}

}  // namespace cairn
