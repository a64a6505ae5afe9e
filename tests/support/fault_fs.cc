#include "tests/support/fault_fs.h"

#include <algorithm>

namespace cairn {

namespace {

class FaultFile final : public File {
 public:
  FaultFile(FaultFs& faults, std::unique_ptr<File> below)
      : faults_(faults), below_(std::move(below)) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes out) override {
    auto count = faults_.pass(FsCall::kRead, path(), [&] { return below_->read_at(offset, out); });
    if (count && faults_.after_read) faults_.after_read(path(), out.first(*count));
    return count;
  }
  bool read_cached_at(uint64_t offset, MutableBytes out) override {
    return below_->read_cached_at(offset, out);
  }
  Status write_at(uint64_t offset, ByteSpan data) override {
    return stick(FsCall::kWrite, [&] { return below_->write_at(offset, data); });
  }
  Status truncate(uint64_t bytes) override {
    return stick(FsCall::kTruncate, [&] { return below_->truncate(bytes); });
  }
  Status sync() override {
    return stick(FsCall::kSync, [&] { return below_->sync(); });
  }
  Result<uint64_t> size() override { return below_->size(); }
  bool direct() const override { return below_->direct(); }
  const std::string& path() const override { return below_->path(); }

 private:
  /// A file that failed fails for good, as the contract of File says.
  template <class Work>
  Status stick(FsCall call, const Work& work) {
    CAIRN_CHECK(state_);
    state_ = faults_.pass(call, path(), work);
    return state_;
  }

  FaultFs& faults_;
  const std::unique_ptr<File> below_;
  Status state_;
};

}  // namespace

void FaultFs::fail_next(FsCall call, std::string path_part, Code code) {
  calls = 0;
  fail_at = 0;
  error = {code, "injected fault", ""};
  counts = [call, part = std::move(path_part)](FsCall other, const std::string& path) {
    return other == call && path.find(part) != std::string::npos;
  };
}

void FaultFs::heal() {
  fail_at = SIZE_MAX;
  for_ever = takes_effect = false;
  counts = nullptr;
}

size_t FaultFs::count(FsCall call, std::string_view path_part) const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(changes.begin(), changes.end(), [&](const FsEvent& event) {
        return event.call == call && event.path.find(path_part) != std::string::npos;
      }));
}

Status FaultFs::meet(FsCall call, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (call != FsCall::kRead && call != FsCall::kOpen) changes.push_back({call, path});
  if (counts && !counts(call, path)) return {};
  const size_t number = calls++;
  if (number != fail_at && !(for_ever && number > fail_at)) return {};
  return tl::unexpected(error);
}

Result<std::unique_ptr<File>> FaultFs::open(const std::string& path, OpenMode mode) {
  const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kCreateDirect;
  return pass(creates ? FsCall::kCreate : FsCall::kOpen, path,
              [&]() -> Result<std::unique_ptr<File>> {
                CAIRN_TRY(auto file, below_.open(path, mode));
                return std::unique_ptr<File>(new FaultFile(*this, std::move(file)));
              });
}

Status FaultFs::rename(const std::string& source, const std::string& target) {
  return pass(FsCall::kRename, source, [&] { return below_.rename(source, target); });
}

Status FaultFs::rename_new(const std::string& source, const std::string& target) {
  return pass(FsCall::kRename, source, [&] { return below_.rename_new(source, target); });
}

Status FaultFs::remove(const std::string& path) {
  return pass(FsCall::kRemove, path, [&] { return below_.remove(path); });
}

Status FaultFs::make_folders(const std::string& path) {
  return pass(FsCall::kFolder, path, [&] { return below_.make_folders(path); });
}

Status FaultFs::sync_folder(const std::string& path) {
  return pass(FsCall::kSyncFolder, path, [&] { return below_.sync_folder(path); });
}

Result<std::unique_ptr<FileLock>> FaultFs::lock(const std::string& path, const Wait& wait) {
  return pass(FsCall::kLock, path, [&] { return below_.lock(path, wait); });
}

Result<std::unique_ptr<FileLock>> FaultFs::mark_alive(const std::string& path) {
  return pass(FsCall::kMarkAlive, path, [&] { return below_.mark_alive(path); });
}

}  // namespace cairn
