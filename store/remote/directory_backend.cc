#include "store/remote/directory_backend.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/digest.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "store/remote/directory_uploads.h"
#include "store/remote/url.h"

namespace cairn::remote {

using namespace std::chrono_literals;

static constexpr auto kLockWait = 30s;
static constexpr uint64_t kBytesMost = uint64_t{1} << 40;

namespace {

class DirectoryBackend final : public Backend {
 public:
  DirectoryBackend(Fs& fs, std::string path, const std::atomic<bool>* stop)
      : fs_(fs), path_(std::move(path)), stop_(stop), uploads_(fs, path_) {}

  std::unique_ptr<Backend> with_stop(const std::atomic<bool>* stop) const override {
    return std::make_unique<DirectoryBackend>(fs_, path_, stop);
  }

  const std::string& name() const override { return path_; }

  BackendAbilities abilities() const override {
    return {true, true, true, true, true, kBytesMost, 1, kGiB, 10'000};
  }

  Result<ObjectInfo> info(const std::string& key) override {
    CAIRN_TRY(const std::string path, path_of(key));
    CAIRN_TRY(const FileInfo info, fs_.info(path));
    if (!info.is_file) return fail(Code::kNotFound, fmt::format("'{}' is no file", path));
    return ObjectInfo{info.bytes, {}, info.modified_ns};
  }

  Result<ReadAnswer> read(const std::string& key, uint64_t offset, MutableBytes out) override {
    CAIRN_TRY(const std::string path, path_of(key));
    CAIRN_TRY(const auto file, fs_.open(path, OpenMode::kRead));
    CAIRN_TRY(const uint64_t total, file->size());
    CAIRN_TRY(const size_t bytes, file->read_at(offset, out));
    return ReadAnswer{bytes, {}, total};
  }

  Result<WholeObject> read_whole(const std::string& key, uint64_t bytes_most) override {
    CAIRN_TRY(const std::string path, path_of(key));
    CAIRN_TRY(Bytes bytes, read_file(fs_, path, bytes_most));
    std::string version = version_of(bytes);
    return WholeObject{std::move(bytes), std::move(version)};
  }

  WriteResult put(const std::string& key, const Payload& payload,
                  const Condition& condition) override {
    const auto path = path_of(key);
    if (!path) return refuse(path.error());
    const auto spare = uploads_.write_spare(payload.bytes);
    if (!spare) return refuse(spare.error());
    return publish(*path, *spare, condition, version_of(payload.bytes));
  }

  Status remove(const std::string& key) override {
    CAIRN_TRY(const std::string path, path_of(key));
    const auto info = fs_.info(path);
    if (!info && info.error().code != Code::kNotFound) return tl::unexpected<Error>(info.error());
    if (!info || !info->is_file) return {};
    const Status removed = fs_.remove(path);
    if (!removed && removed.error().code != Code::kNotFound) return removed;
    return {};
  }

  Result<Page<ListedObject>> list(const std::string& prefix, const std::string&) override {
    Page<ListedObject> page;
    // No further down than the prefix itself says.
    const size_t slash = prefix.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : prefix.substr(0, slash);
    if (!folder.empty()) CAIRN_CHECK(check_key(folder));
    CAIRN_CHECK(gather(folder, prefix, page.items));
    std::sort(page.items.begin(), page.items.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
    return page;
  }

  Result<std::string> begin_upload(const std::string& key, uint64_t) override {
    CAIRN_CHECK(check_key(key));
    return uploads_.begin(key);
  }
  Result<UploadedPart> upload_part(const std::string&, const std::string& upload, uint32_t number,
                                   const Payload& payload) override {
    return uploads_.add(upload, number, payload.bytes);
  }
  Result<std::vector<UploadedPart>> list_parts(const std::string&,
                                               const std::string& upload) override {
    return uploads_.parts(upload);
  }
  WriteResult complete_upload(const std::string& key, const std::string& upload,
                              const std::vector<UploadedPart>& parts,
                              const Condition& condition) override {
    const auto path = path_of(key);
    if (!path) return refuse(path.error());
    const auto spare = uploads_.join(upload, parts);
    if (!spare) return refuse(spare.error());
    auto published = publish(*path, *spare, condition, {});
    // What is left of the upload is for who lists uploads.
    if (published) (void)uploads_.remove(upload).has_value();
    return published;
  }
  Status abort_upload(const std::string&, const std::string& upload) override {
    return uploads_.remove(upload);
  }
  Result<Page<OpenUpload>> list_uploads(const std::string& prefix, const std::string&) override {
    CAIRN_TRY(auto uploads, uploads_.list(prefix));
    return Page<OpenUpload>{std::move(uploads), {}};
  }

 private:
  static WriteResult refuse(const Error& error, bool ambiguous = false) {
    return tl::unexpected<WriteError>({error, ambiguous});
  }
  static std::string version_of(ByteSpan bytes) { return blake3(bytes).hex(); }

  Result<std::string> path_of(const std::string& key) const {
    CAIRN_CHECK(check_key(key));
    return join_path(path_, key);
  }

  /// Gives a file that was written its name where the condition holds, and removes it else.
  WriteResult publish(const std::string& path, const std::string& spare, const Condition& condition,
                      std::string version) {
    bool named = false;
    const Status done = name_file(path, spare, condition, named);
    if (done) return version;
    if (!named) (void)fs_.remove(spare).has_value();
    return refuse(done.error(), named);
  }

  Status name_file(const std::string& path, const std::string& spare, const Condition& condition,
                   bool& named) {
    std::unique_ptr<FileLock> lock;
    if (condition.kind == Condition::Kind::kVersion) {
      CAIRN_TRY(lock, fs_.lock(join_path(path_, "lock"), Wait(kLockWait, stop_)));
      const auto now = read_file(fs_, path, kBytesMost);
      if (!now && now.error().code != Code::kNotFound) return tl::unexpected<Error>(now.error());
      if (!now || version_of(*now) != condition.version) {
        return fail(Code::kExists, fmt::format("'{}' is not what it was", path));
      }
    }
    const bool is_new = condition.kind == Condition::Kind::kAbsent;
    CAIRN_CHECK(make_in_folder(
        fs_, path, [&] { return is_new ? fs_.rename_new(spare, path) : fs_.rename(spare, path); }));
    named = true;
    return fs_.sync_folder(parent_folder(path));
  }

  /// Files below `folder` (a key; empty: all) whose keys begin with `prefix`.
  Status gather(const std::string& folder, const std::string& prefix,
                std::vector<ListedObject>& found) {
    const auto entries = fs_.list(folder.empty() ? path_ : join_path(path_, folder));
    if (!entries && entries.error().code == Code::kNotFound) return {};
    if (!entries) return tl::unexpected<Error>(entries.error());
    CAIRN_CHECK(unless_stopped(stop_, "the listing"));
    for (const FolderEntry& entry : *entries) {
      const std::string key = folder.empty() ? entry.name : folder + "/" + entry.name;
      const bool is_own = folder.empty() && (key == "uploads" || key == "lock");
      if (is_own || entry.is_link) continue;
      if (entry.is_folder && (key + "/").starts_with(prefix.substr(0, key.size() + 1))) {
        CAIRN_CHECK(gather(key, prefix, found));
      }
      if (!entry.is_file || entry.is_folder || !key.starts_with(prefix)) continue;
      const auto info = fs_.info(join_path(path_, key));
      if (info) found.push_back({key, {info->bytes, {}, info->modified_ns}});
    }
    return {};
  }

  Fs& fs_;
  const std::string path_;
  const std::atomic<bool>* const stop_;
  DirectoryUploads uploads_;
};

}  // namespace

std::unique_ptr<Backend> open_directory_backend(Fs& fs, const std::string& path,
                                                const std::atomic<bool>* stop) {
  return std::make_unique<DirectoryBackend>(fs, path, stop);
}

}  // namespace cairn::remote
