#include "store/remote/remote_fs.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <set>

#include "store/remote/read_ahead.h"
#include "store/remote/upload_file.h"

namespace cairn::remote {
namespace {

/// Only leases and the like are marked or touched.
constexpr uint64_t kTouchedBytesMax = 32 * kMiB;
constexpr uint64_t kEndless = uint64_t{1} << 60;

tl::unexpected<Error> read_only(const std::string& path) {
  return fail(Code::kUsage, fmt::format("'{}' is to be read only", path),
              "name a folder for what is written");
}

tl::unexpected<Error> about(Error error, const std::string& path) {
  if (error.message.find(path) == std::string::npos) {
    error.message = fmt::format("'{}': {}", path, error.message);
  }
  return tl::unexpected(std::move(error));
}

/// Every item of a listing, page by page; kFailed for one that goes on and on, by a place that
/// lies.
template <class Ask, class Take>
Status for_each_listed(const std::string& path, const Ask& ask, const Take& take) {
  constexpr uint64_t kItemsMax = 20'000'000, kEmptyPagesMax = 100;
  std::string from;
  uint64_t items = 0, empty_pages = 0;
  do {
    const auto page = ask(from);
    if (!page) return about(page.error(), path);
    for (const auto& item : page->items) take(item);
    items += page->items.size();
    empty_pages = page->items.empty() ? empty_pages + 1 : 0;
    if (items > kItemsMax || empty_pages > kEmptyPagesMax) {
      return fail(Code::kFailed, fmt::format("the listing of '{}' does not end", path));
    }
    from = page->next;
  } while (!from.empty());
  return {};
}

class RemoteFile final : public File {
 public:
  RemoteFile(Backend& backend, std::string key, std::string path, std::shared_ptr<ReadCache> cache)
      : backend_(backend), key_(std::move(key)), path_(std::move(path)) {
    const bool is_pack = key_.starts_with("packs/");
    // These are written once, under names that are never used again.
    if (is_pack || key_.starts_with("meta/")) cache_ = std::move(cache);
    // Of packs long ranges are read; metadata one object after the other.
    if (!is_pack) {
      ahead_.emplace([this](uint64_t offset, MutableBytes out) { return near(offset, out); });
    }
  }

  Result<size_t> read_at(uint64_t offset, MutableBytes out) override {
    if (out.empty()) return 0;
    return ahead_ ? ahead_->read(offset, out) : near(offset, out);
  }
  bool read_cached_at(uint64_t, MutableBytes) override { return false; }
  void distrust(uint64_t offset, uint64_t bytes) override {
    if (cache_ != nullptr) cache_->distrust(name(), offset, bytes);
  }
  Status write_at(uint64_t, ByteSpan) override { return read_only(path_); }
  Status truncate(uint64_t) override { return read_only(path_); }
  Status sync() override { return read_only(path_); }
  Result<uint64_t> size() override {
    {
      const std::lock_guard lock(mutex_);
      if (!size_ && cache_ != nullptr) size_ = cache_->size(name());
      if (size_) return *size_;
    }
    const auto info = backend_.info(key_);
    if (!info) return about(info.error(), path_);
    learn_size(info->bytes);
    return info->bytes;
  }
  bool direct() const override { return false; }
  const std::string& path() const override { return path_; }

 private:
  Result<size_t> near(uint64_t offset, MutableBytes out) {
    if (cache_ == nullptr) return fetch(offset, out);
    return cache_->read(name(), offset, out, [this](uint64_t begin, MutableBytes missing) {
      return fetch(begin, missing);
    });
  }

  Result<size_t> fetch(uint64_t offset, MutableBytes out) {
    const auto read = backend_.read(key_, offset, out);
    if (!read) return about(read.error(), path_);
    if (read->total) learn_size(*read->total);
    return read->bytes;
  }

  void learn_size(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (size_ == bytes) return;
    size_ = bytes;
    if (cache_ != nullptr) cache_->keep_size(name(), bytes);
  }

  /// Packs and metadata of one session are called alike.
  std::string name() const {
    return key_.substr(0, key_.find('/')) + "-" + key_.substr(key_.rfind('/') + 1);
  }

  Backend& backend_;
  const std::string key_, path_;
  std::shared_ptr<ReadCache> cache_;  // may be null
  std::optional<ReadAhead> ahead_;
  std::mutex mutex_;
  std::optional<uint64_t> size_;  // once known: the file is never replaced
};

}  // namespace

ReadHabits RemoteFs::read_habits() const {
  ReadHabits habits;
  habits.bytes_max = 8 * kMiB;
  habits.waiting = reads_;
  habits.is_remote = true;
  // Each further read would bring the file anew from its begin.
  if (!backend_->abilities().ranges) habits.gap_bytes_max = kGiB;
  return habits;
}

bool RemoteFs::may_write() const {
  const BackendAbilities abilities = backend_->abilities();
  return abilities.writing && abilities.conditional_create && abilities.conditional_replace;
}

Status RemoteFs::writable(const std::string& path) const {
  return may_write() ? Status() : read_only(path);
}

ConditionalFiles* RemoteFs::conditional() { return may_write() ? &versions_ : nullptr; }

Result<VersionedBytes> RemoteFs::Versions::read(const std::string& path, uint64_t bytes_max) {
  CAIRN_TRY(const std::string key, fs_.key_of(path));
  auto whole = fs_.backend_->read_whole(key, bytes_max);
  if (!whole) return about(whole.error(), path);
  return VersionedBytes{std::move(whole->bytes), std::move(whole->version)};
}

Status RemoteFs::Versions::replace(const std::string& path, const std::string& version,
                                   ByteSpan data, bool& may_be_done) {
  CAIRN_TRY(const std::string key, fs_.key_of(path));
  const Condition condition = version.empty() ? Condition::absent() : Condition::replaces(version);
  const WriteResult written = fs_.backend_->put(key, data, condition);
  may_be_done = !written && written.error().ambiguous;
  if (written) return {};
  return about(written.error(), path);
}

Result<std::vector<UnfinishedFile>> RemoteFs::Versions::unfinished(const std::string& folder) {
  CAIRN_TRY(const std::string key, fs_.key_of(folder));
  std::vector<UnfinishedFile> found;
  CAIRN_CHECK(for_each_listed(
      folder, [&](const std::string& from) { return fs_.backend_->list_uploads(key + "/", from); },
      [&](const OpenUpload& each) {
        found.push_back({join_path(fs_.root_, each.key), each.upload, each.begun_ns});
      }));
  return found;
}

Status RemoteFs::Versions::drop(const UnfinishedFile& file) {
  CAIRN_TRY(const std::string key, fs_.key_of(file.path));
  const Status dropped = fs_.backend_->abort_upload(key, file.id);
  return dropped ? Status() : about(dropped.error(), file.path);
}

Result<std::string> RemoteFs::key_of(const std::string& path) const {
  if (path.starts_with(root_ + "/")) return path.substr(root_.size() + 1);
  return fail(Code::kBug, fmt::format("'{}' is no file of '{}'", path, root_));
}

Result<Bytes> RemoteFs::read_whole(const std::string& path, uint64_t bytes_max) {
  CAIRN_TRY(const std::string key, key_of(path));
  auto whole = backend_->read_whole(key, bytes_max);
  if (!whole) return about(whole.error(), path);
  return std::move(whole->bytes);
}

Result<std::unique_ptr<File>> RemoteFs::open(const std::string& path, OpenMode mode) {
  CAIRN_TRY(std::string key, key_of(path));
  if (mode == OpenMode::kCreate || mode == OpenMode::kCreateDirect) {
    CAIRN_CHECK(writable(path));
    return std::make_unique<UploadFile>(*backend_, part_buffers_, std::move(key), path);
  }
  if (mode == OpenMode::kUpdate) return read_only(path);
  return std::make_unique<RemoteFile>(*backend_, std::move(key), path, cache_);
}

Result<FileInfo> RemoteFs::info(const std::string& path) {
  CAIRN_TRY(const std::string key, key_of(path));
  const auto info = backend_->info(key);
  if (!info) return about(info.error(), path);
  FileInfo told;
  told.bytes = told.disk_bytes = info->bytes;
  told.modified_ns = info->modified_ns;
  return told;
}

Result<std::vector<FolderEntry>> RemoteFs::list(const std::string& path) {
  std::string prefix;
  if (path != root_) {
    CAIRN_TRY(prefix, key_of(path));
    prefix += "/";
  }
  std::set<std::string> folders;
  std::map<std::string, uint64_t> files;  // their sizes
  CAIRN_CHECK(for_each_listed(
      path, [&](const std::string& from) { return backend_->list(prefix, from); },
      [&](const ListedObject& object) {
        const std::string rest = object.key.substr(prefix.size());
        const size_t slash = rest.find('/');
        if (slash == std::string::npos) {
          files[rest] = object.info.bytes;
        } else {
          folders.insert(rest.substr(0, slash));
        }
      }));
  std::vector<FolderEntry> entries;
  for (const std::string& name : folders) entries.push_back({name, true, false, false, {}});
  for (const auto& [name, bytes] : files) entries.push_back({name, false, true, false, bytes});
  return entries;
}

Status RemoteFs::rename(const std::string& source, const std::string&) { return read_only(source); }
Status RemoteFs::rename_new(const std::string& source, const std::string&) {
  return read_only(source);
}
Status RemoteFs::remove(const std::string& path) {
  CAIRN_CHECK(writable(path));
  CAIRN_TRY(const std::string key, key_of(path));
  const Status removed = backend_->remove(key);
  return removed ? Status() : about(removed.error(), path);
}
// Folders are nothing but parts of names.
Status RemoteFs::make_folders(const std::string& path) { return writable(path); }
Status RemoteFs::sync_folder(const std::string& path) { return writable(path); }

/// By putting there what is there.
Status RemoteFs::touch(const std::string& path) {
  CAIRN_CHECK(writable(path));
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    CAIRN_TRY(const VersionedBytes standing, versions_.read(path, kTouchedBytesMax));
    bool may_be_done = false;
    const Status put = versions_.replace(path, standing.version, standing.bytes, may_be_done);
    const bool was_other = !put && (put.error().code == Code::kExists || may_be_done);
    if (!was_other || attempt == kAttempts) return put;
  }
}

// A bucket has no end.
Result<uint64_t> RemoteFs::free_bytes(const std::string& path) {
  CAIRN_CHECK(writable(path));
  return kEndless;
}

Result<std::unique_ptr<FileLock>> RemoteFs::lock(const std::string& path, const Wait&) {
  return read_only(path);
}

class RemoteFs::Mark final : public FileLock {
 public:
  Mark(RemoteFs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  ~Mark() override {
    const std::lock_guard lock(fs_.marks_mutex_);
    fs_.marks_.erase(path_);
  }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

 private:
  RemoteFs& fs_;
  const std::string path_;
};

Result<std::unique_ptr<FileLock>> RemoteFs::mark_alive(const std::string& path) {
  CAIRN_TRY(Bytes bytes, read_whole(path, kTouchedBytesMax));
  {
    const std::lock_guard lock(marks_mutex_);
    marks_[path] = std::move(bytes);
  }
  return std::make_unique<Mark>(*this, path);
}

Result<bool> RemoteFs::is_marked_alive(const std::string& path) {
  const std::lock_guard lock(marks_mutex_);
  return marks_.contains(path);
}

Result<bool> RemoteFs::is_marked_here(const std::string& path) {
  const auto standing = read_whole(path, kTouchedBytesMax);
  if (!standing && standing.error().code == Code::kNotFound) return false;
  CAIRN_CHECK(standing);
  const std::lock_guard lock(marks_mutex_);
  const auto mark = marks_.find(path);
  return mark != marks_.end() && mark->second == *standing;
}

}  // namespace cairn::remote
