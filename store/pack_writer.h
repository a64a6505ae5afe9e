// Data packs of one session: copies are appended by any thread, in packs of bounded size, and are
// durable once finish() has succeeded.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "store/sealing_packs.h"
#include "store/store.h"

namespace cairn {

/// A small save fills one pack after the other. A large one keeps several open, each in a lane of
/// its own, so that threads do not wait for each other, nor for the disk while a pack is sealed.
/// In an object store full packs are sent beside that, and those that a killed session had not sent
/// are lost.
/// Memory: kLanesMax * AppendWriter::kBuffers * AppendWriter::kBufferBytes; in an object store
/// (kLanesMax + kSendingMax) packs, or what an upload in parts takes for each where a single copy
/// may be longer than a pack. After an error every later call fails with it. Threads: any.
class PackWriter {
 public:
  static constexpr size_t kLanesMax = 4;
  static constexpr size_t kSendingMax = 12;
  /// Each further lane is opened when this many bytes more have been appended: a save of few bytes
  /// shall be few files.
  static constexpr uint64_t kBytesForLane = 32 * kMiB;

  PackWriter(const Store& store, const SessionId& session)
      : PackWriter(store.fs(), store.path(), session, store.pack_bytes(),
                   chunk_bytes_max(store.config())) {}
  /// `copy_bytes_max`: of the longest that will be appended.
  PackWriter(Fs& fs, std::string store_path, const SessionId& session, uint64_t pack_bytes,
             uint64_t copy_bytes_max = 0);

  /// To be called before the first append(): from then on copies are in their files when append()
  /// returns; in an object store no more packs are open, or on their way, than `memory_bytes` has
  /// room for, and at least two. Returns what they take of it.
  uint64_t write_through(uint64_t memory_bytes);

  /// Where the copy will lie once finish() has succeeded.
  Result<Copy> append(const NewCopy& copy);
  /// The same for several, which come to lie one after the other: cheaper where they are small.
  Result<std::vector<Copy>> append(std::span<const NewCopy> copies);
  /// The name of a pack that the caller fills; begun by that.
  FileId take_file() { return {session_, packs_begun_++}; }
  /// It is sealed, and has that size.
  void count_file(uint64_t bytes) { counted_bytes_ += bytes; }
  /// Seals and syncs the packs that are open. Nothing may be appended afterwards.
  Status finish();

  /// Bytes that wait for the disk now, or for the network: many where it is what a save waits for.
  uint64_t backlog_bytes() const;
  /// Bytes of the packs that are sealed: all of them after finish().
  uint64_t stored_bytes() const { return counted_bytes_ + sealing_->sealed_bytes(); }
  /// Packs begun so far: their numbers are 0 to this - 1.
  uint32_t packs_begun() const { return packs_begun_; }

 private:
  struct Lane {
    std::mutex mutex;  // of the pack
    std::unique_ptr<OpenPack> pack;
  };

  std::pair<Lane*, std::unique_lock<std::mutex>> take_lane();
  Result<std::vector<Copy>> append_in(Lane& lane, std::span<const NewCopy> copies);
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
  const uint64_t held_bytes_;  // of a pack that is open, or on its way: in an object store
  const bool is_bucket_;
  WriteMode mode_;
  size_t lanes_max_ = kLanesMax;
  std::atomic<uint64_t> backlog_bytes_{0};
  std::array<Lane, kLanesMax> lanes_;
  std::unique_ptr<SealingPacks> sealing_;
  std::atomic<uint64_t> appended_bytes_{0};
  std::atomic<uint64_t> counted_bytes_{0};
  std::atomic<uint32_t> packs_begun_{0};
  std::atomic<size_t> next_lane_{0};  // to wait for when all are busy
  mutable std::mutex mutex_;          // of state_
  Status state_;
};

}  // namespace cairn
