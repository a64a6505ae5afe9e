#include "tests/support/fault_fs.h"

namespace cairn {

namespace {

class FaultFile final : public File {
 public:
  FaultFile(FaultFs& faults, std::unique_ptr<File> below)
      : faults_(faults), below_(std::move(below)) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes out) override {
    CAIRN_CHECK(faults_.meet(FsCall::kRead));
    return below_->read_at(offset, out);
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
  void prefetch(uint64_t offset, uint64_t bytes) override { below_->prefetch(offset, bytes); }
  const std::string& path() const override { return below_->path(); }

 private:
  /// A file that failed fails for good, as the contract of File says.
  template <class Work>
  Status stick(FsCall call, const Work& work) {
    CAIRN_CHECK(state_);
    state_ = faults_.meet(call);
    if (state_) state_ = work();
    return state_;
  }

  FaultFs& faults_;
  const std::unique_ptr<File> below_;
  Status state_;
};

}  // namespace

Status FaultFs::meet(FsCall call) {
  if (counts && !counts(call)) return {};
  const size_t number = calls++;
  if (number != fail_at && !(for_ever && number > fail_at)) return {};
  return tl::unexpected(error);
}

Result<std::unique_ptr<File>> FaultFs::open(const std::string& path, OpenMode mode) {
  CAIRN_CHECK(meet(FsCall::kOpen));
  CAIRN_TRY(auto file, below_.open(path, mode));
  return std::unique_ptr<File>(new FaultFile(*this, std::move(file)));
}

Status FaultFs::rename(const std::string& source, const std::string& target) {
  CAIRN_CHECK(meet(FsCall::kRename));
  return below_.rename(source, target);
}

Status FaultFs::remove(const std::string& path) {
  CAIRN_CHECK(meet(FsCall::kRemove));
  return below_.remove(path);
}

Status FaultFs::make_folders(const std::string& path) {
  CAIRN_CHECK(meet(FsCall::kFolder));
  return below_.make_folders(path);
}

Status FaultFs::sync_folder(const std::string& path) {
  CAIRN_CHECK(meet(FsCall::kSync));
  return below_.sync_folder(path);
}

}  // namespace cairn
