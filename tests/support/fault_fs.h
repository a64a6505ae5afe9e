// A file system over another one in which one chosen call fails, before or after it took effect.
// It also lists the calls that changed something, so that a test can hold code to its order of
// syncs.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/fs.h"

namespace cairn {

enum class FsCall : uint8_t {
  kOpen,    ///< an existing file
  kCreate,  ///< a new file
  kRead,
  kWrite,
  kTruncate,
  kSync,
  kRename,  ///< its path is the source
  kRemove,
  kFolder,
  kSyncFolder,
  kLock,
  kMarkAlive,
};

struct FsEvent {
  FsCall call = FsCall::kOpen;
  std::string path;

  bool operator==(const FsEvent&) const = default;
};

/// Counts calls of every kind together and fails the `fail_at`-th (from 0) with `error`, once or
/// from then on. Set the members while no call is under way. Threads: any.
class FaultFs final : public Fs {
 public:
  explicit FaultFs(Fs& below) : below_(below) {}

  size_t calls = 0;
  size_t fail_at = SIZE_MAX;
  bool for_ever = false;
  /// The call that fails is done all the same: only its answer is lost.
  bool takes_effect = false;
  Error error{Code::kNoSpace, "injected fault", ""};
  /// Which calls count; unset: all.
  std::function<bool(FsCall, const std::string& path)> counts;
  /// Told of every read that was made; may spoil what it brought.
  std::function<void(const std::string& path, MutableBytes bytes)> after_read;
  /// Every call so far that was neither a read nor the opening of an existing file.
  std::vector<FsEvent> changes;

  /// Only calls of this kind count, on paths with this part; the next such fails with `code`.
  void fail_next(FsCall call, std::string path_part = "", Code code = Code::kFailed);
  /// No more faults.
  void heal();
  size_t count(FsCall call, std::string_view path_part = "") const;

  /// The error this call is to meet.
  Status meet(FsCall call, const std::string& path);
  /// Makes the call unless it is to fail.
  template <class Work>
  auto pass(FsCall call, const std::string& path, const Work& work) -> decltype(work()) {
    const Status met = meet(call, path);
    if (met) return work();
    if (takes_effect) (void)work().has_value();
    return tl::unexpected(met.error());
  }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& source, const std::string& target) override;
  Status rename_new(const std::string& source, const std::string& target) override;
  Status remove(const std::string& path) override;
  Status make_folders(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    return below_.list(path);
  }
  Result<FileInfo> info(const std::string& path) override { return below_.info(path); }
  Status touch(const std::string& path) override { return below_.touch(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return below_.free_bytes(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path, const Wait& wait) override;
  Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) override;
  Result<bool> is_marked_alive(const std::string& path) override {
    return below_.is_marked_alive(path);
  }
  Result<bool> is_marked_here(const std::string& path) override {
    return below_.is_marked_here(path);
  }

 private:
  Fs& below_;
  mutable std::mutex mutex_;  // of calls and changes
};

}  // namespace cairn
