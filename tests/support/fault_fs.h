// A file system over another one in which one chosen call fails.
#pragma once

#include <functional>

#include "base/fs.h"

namespace cairn {

enum class FsCall : uint8_t { kOpen, kRead, kWrite, kTruncate, kSync, kRename, kRemove, kFolder };

/// Counts calls of every kind together and fails the `fail_at`-th (from 0) with `error`, once or
/// from then on. Threads: one at a time.
class FaultFs final : public Fs {
 public:
  explicit FaultFs(Fs& below) : below_(below) {}

  size_t calls = 0;
  size_t fail_at = SIZE_MAX;
  bool for_ever = false;
  Error error{Code::kNoSpace, "injected fault", ""};
  /// Which calls count; unset: all.
  std::function<bool(FsCall)> counts;

  /// The error this call is to meet.
  Status meet(FsCall call);

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& source, const std::string& target) override;
  Status remove(const std::string& path) override;
  Status make_folders(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    return below_.list(path);
  }
  Result<FileInfo> info(const std::string& path) override { return below_.info(path); }
  Result<uint64_t> free_bytes(const std::string& path) override { return below_.free_bytes(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path,
                                         std::chrono::milliseconds wait) override {
    return below_.lock(path, wait);
  }
  Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) override {
    return below_.mark_alive(path);
  }
  Result<bool> is_marked_alive(const std::string& path) override {
    return below_.is_marked_alive(path);
  }

 private:
  Fs& below_;
};

}  // namespace cairn
