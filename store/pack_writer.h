// Data packs of one session: copies are appended by any thread, in packs of bounded size, and are
// durable once finish() has succeeded.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "store/open_pack.h"

namespace cairn {

/// A small save fills one pack after the other. A large one keeps several open, each in a lane of
/// its own, so that threads do not wait for each other, nor for the disk while a pack is sealed.
/// Memory: kLanesMax * AppendWriter::kBuffers * AppendWriter::kBufferBytes, or what the files take
/// of each lane once write_through() was called.
/// After an error every later call fails with it. Threads: any.
class PackWriter {
 public:
  static constexpr size_t kLanesMax = 4;
  /// Each further lane is opened when this many bytes more have been appended: a save of few bytes
  /// shall be few files.
  static constexpr uint64_t kBytesForLane = 32 * kMiB;

  /// Of one pack in an object store, where it is there once it is whole: what a session that is
  /// killed had in open ones is lost.
  static constexpr uint64_t kObjectBytesMax = 32 * kMiB;

  PackWriter(Fs& fs, std::string store_path, const SessionId& session, uint64_t pack_bytes)
      : fs_(fs),
        store_path_(std::move(store_path)),
        session_(session),
        pack_bytes_(fs.conditional() == nullptr ? pack_bytes
                                                : std::min(pack_bytes, kObjectBytesMax)) {}

  /// To be called before the first append(): from then on each copy is in its file when append()
  /// returns, and at most `lanes` packs are open at once.
  void write_through(size_t lanes);

  /// Where the copy will lie once finish() has succeeded.
  Result<Copy> append(const NewCopy& copy);
  /// The name of a pack that the caller fills; begun by that.
  FileId take_file() { return {session_, packs_begun_++}; }
  /// It is sealed, and has that size.
  void count_file(uint64_t bytes) { sealed_bytes_ += bytes; }
  /// Seals and syncs the packs that are open. Nothing may be appended afterwards.
  Status finish();

  /// Bytes that wait for the disk now: many where it is what a save waits for.
  uint64_t backlog_bytes() const { return backlog_bytes_; }
  /// Bytes of the packs that are sealed: all of them after finish().
  uint64_t stored_bytes() const { return sealed_bytes_; }
  /// Packs begun so far: their numbers are 0 to this - 1.
  uint32_t packs_begun() const { return packs_begun_; }

 private:
  struct Lane {
    std::mutex mutex;  // of the pack
    std::unique_ptr<OpenPack> pack;
  };

  std::pair<Lane*, std::unique_lock<std::mutex>> take_lane();
  Result<Copy> append_in(Lane& lane, const NewCopy& copy);
  Status begin_in(Lane& lane);
  Status seal_in(Lane& lane);
  Status state() const;
  /// Keeps the first error, whatever the lane.
  Status stick(Status done);

  Fs& fs_;
  const std::string store_path_;
  const SessionId session_;
  const uint64_t pack_bytes_;
  WriteMode mode_ = WriteMode::kBehind;
  size_t lanes_max_ = kLanesMax;
  std::atomic<uint64_t> backlog_bytes_{0};
  std::array<Lane, kLanesMax> lanes_;
  std::atomic<uint64_t> appended_bytes_{0};
  std::atomic<uint64_t> sealed_bytes_{0};
  std::atomic<uint32_t> packs_begun_{0};
  std::atomic<size_t> next_lane_{0};  // to wait for when all are busy
  mutable std::mutex mutex_;          // of state_
  Status state_;
};

}  // namespace cairn
