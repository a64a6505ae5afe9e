// The files of a store that lies elsewhere, as all code above reads files: a backend's objects by
// the paths that a folder would have.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/fs.h"
#include "store/remote/backend.h"
#include "store/remote/part_buffers.h"
#include "store/remote/read_cache.h"

namespace cairn::remote {

/// Paths begin with `root`, which is how the store is called (its URL). Nothing is asked of the
/// place when a file is opened: that it is not there is what the first read says. A new file is
/// written from its begin to its end, and is there, whole, once it was synced. Where the place
/// cannot be written, or replaces nothing on a condition, what would write is kUsage; so are locks
/// and renames everywhere. A mark that this process lives is known to this RemoteFs only: of other
/// processes their leases' times tell. Errors: those of Backend, naming the file. Threads: any.
class RemoteFs final : public Fs {
 public:
  /// `reads`: how many are worth having under way at once. `cache`: for what is never replaced; may
  /// be null.
  RemoteFs(std::unique_ptr<Backend> backend, std::string root, unsigned reads,
           std::shared_ptr<ReadCache> cache = nullptr)
      : backend_(std::move(backend)),
        root_(std::move(root)),
        reads_(reads),
        cache_(std::move(cache)) {}

  ReadHabits read_habits() const override;
  ConditionalFiles* conditional() override;
  /// Past caches on the way: `root` is replaced.
  Result<Bytes> read_whole(const std::string& path, uint64_t bytes_max) override;
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& source, const std::string& target) override;
  Status rename_new(const std::string& source, const std::string& target) override;
  Status remove(const std::string& path) override;
  Status make_folders(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Result<std::vector<FolderEntry>> list(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Status touch(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path, const Wait& wait) override;
  Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) override;
  Result<bool> is_marked_alive(const std::string& path) override;
  Result<bool> is_marked_here(const std::string& path) override;

 private:
  /// By versions of the backend's.
  class Versions final : public ConditionalFiles {
   public:
    explicit Versions(RemoteFs& fs) : fs_(fs) {}
    Result<VersionedBytes> read(const std::string& path, uint64_t bytes_max) override;
    Status replace(const std::string& path, const std::string& version, ByteSpan data,
                   bool& may_be_done) override;
    Result<std::vector<UnfinishedFile>> unfinished(const std::string& folder) override;
    Status drop(const UnfinishedFile& file) override;

   private:
    RemoteFs& fs_;
  };
  class Mark;

  Result<std::string> key_of(const std::string& path) const;
  bool may_write() const;
  Status writable(const std::string& path) const;

  const std::unique_ptr<Backend> backend_;
  const std::string root_;
  const unsigned reads_;
  const std::shared_ptr<ReadCache> cache_;
  PartBuffers part_buffers_{ConditionalFiles::kSentAtOnceBytes};
  Versions versions_{*this};
  std::mutex marks_mutex_;
  std::map<std::string, Bytes> marks_;  // by path, what the marked files hold
};

}  // namespace cairn::remote
