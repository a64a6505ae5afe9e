#include "store/pack_writer.h"

#include <algorithm>

#include "base/memory_guard.h"
#include "base/pipeline.h"

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

// An object is kept in memory until it is sent, whoever writes it.
PackWriter::PackWriter(Fs& fs, std::string store_path, const SessionId& session,
                       uint64_t pack_bytes, uint64_t copy_bytes_max)
    : fs_(fs),
      store_path_(std::move(store_path)),
      session_(session),
      pack_bytes_(pack_bytes),
      held_bytes_(copy_bytes_max < pack_bytes ? pack_bytes : ConditionalFiles::kSentInPartsBytes),
      is_bucket_(fs.conditional() != nullptr),
      mode_(is_bucket_ ? WriteMode::kThrough : WriteMode::kBehind),
      sealing_(std::make_unique<SealingPacks>(is_bucket_ ? kSendingMax : 0)) {}

uint64_t PackWriter::write_through(uint64_t memory_bytes) {
  mode_ = WriteMode::kThrough;
  if (!is_bucket_) return 0;
  constexpr size_t kPacksMax = kLanesMax + kSendingMax;
  const auto packs = std::clamp<uint64_t>(memory_bytes / held_bytes_, 2, kPacksMax);
  lanes_max_ = std::max<size_t>(1, packs * kLanesMax / kPacksMax);
  sealing_ = std::make_unique<SealingPacks>(packs - lanes_max_);
  return packs * held_bytes_;
}

/// Of packs on their way half are what the network holds anyway.
uint64_t PackWriter::backlog_bytes() const {
  const uint64_t sending = sealing_->waiting_bytes(), held = sealing_->width() * pack_bytes_ / 2;
  return backlog_bytes_ + (sending > held ? sending - held : 0);
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
  return sealing_->add(std::move(lane.pack));
}

Result<Copy> PackWriter::append_in(Lane& lane, const NewCopy& copy) {
  const bool is_full = lane.pack != nullptr && !lane.pack->is_empty() &&
                       lane.pack->sealed_bytes_with(copy) > pack_bytes_;
  if (is_full) CAIRN_CHECK(seal_in(lane));
  if (lane.pack == nullptr) CAIRN_CHECK(begin_in(lane));
  appended_bytes_ += copy.stored.size();
  return lane.pack->append(copy);
}

Result<Copy> PackWriter::append(const NewCopy& copy) {
  CAIRN_TRY(auto copies, append({&copy, 1}));
  return std::move(copies.front());
}

Result<std::vector<Copy>> PackWriter::append(std::span<const NewCopy> copies) {
  const auto [lane, lock] = take_lane();
  CAIRN_CHECK(state());
  auto appended = guard_memory([&, taken = lane] { return append_in(*taken, copies); });
  if (!appended) (void)stick(tl::unexpected(appended.error())).has_value();
  return appended;
}

Result<std::vector<Copy>> PackWriter::append_in(Lane& lane, std::span<const NewCopy> copies) {
  std::vector<Copy> appended;
  appended.reserve(copies.size());
  for (const NewCopy& copy : copies) {
    CAIRN_TRY(appended.emplace_back(), append_in(lane, copy));
  }
  if (lane.pack != nullptr) CAIRN_CHECK(lane.pack->settle());
  return appended;
}

Status PackWriter::finish() {
  CAIRN_CHECK(state());
  const auto open = std::count_if(lanes_.begin(), lanes_.end(),
                                  [](const Lane& lane) { return lane.pack != nullptr; });
  // Each waits for the disk.
  CAIRN_CHECK(stick(parallel_for(lanes_.size(), static_cast<unsigned>(std::max<ptrdiff_t>(open, 1)),
                                 [&](uint64_t i) {
                                   const std::lock_guard lock(lanes_[i].mutex);
                                   return seal_in(lanes_[i]);
                                 })));
  return stick(sealing_->finish());
}

}  // namespace cairn
