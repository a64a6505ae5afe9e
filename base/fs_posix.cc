// Fs on POSIX calls: the only file of Cairn that makes them.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/stop.h"

namespace cairn {
namespace {

tl::unexpected<Error> failed(std::string_view what, const std::string& path) {
  return fail_errno(errno, fmt::format("cannot {} '{}'", what, path));
}

/// Opens without O_DIRECT where the file system refuses it. `flags` tells which it became.
int open_retrying(const std::string& path, int& flags) {
  for (;;) {
    const int number = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (number >= 0) return number;
    if (errno == EINVAL && (flags & O_DIRECT) != 0) {
      // The refused call may have made the file already.
      flags &= ~(O_DIRECT | O_EXCL);
    } else if (errno != EINTR) {
      return -1;
    }
  }
}

/// Files this process marked as alive. Closing any descriptor of such a file would drop the
/// process's POSIX locks on it, and with them the mark; so they stay open as long as it does.
class AliveMarks {
 public:
  using Inode = std::pair<dev_t, ino_t>;

  void add(Inode inode) {
    const std::lock_guard lock(mutex_);
    ++marks_[inode].count;
  }
  void drop(Inode inode) {
    const std::lock_guard lock(mutex_);
    const auto mark = marks_.find(inode);
    if (--mark->second.count == 0) marks_.erase(mark);
  }
  bool has(Inode inode) {
    const std::lock_guard lock(mutex_);
    return marks_.contains(inode);
  }

  /// Closes a descriptor, unless its file is marked.
  void close(Descriptor given) {
    const std::lock_guard lock(mutex_);
    Descriptor descriptor(std::move(given));  // closed while the lock is held
    struct stat info {};
    if (marks_.empty() || ::fstat(descriptor.number(), &info) != 0) return;
    const auto mark = marks_.find({info.st_dev, info.st_ino});
    if (mark != marks_.end()) mark->second.open.push_back(std::move(descriptor));
  }
  /// One that could not be closed, to read a marked file by.
  std::optional<Descriptor> find_open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    struct stat info {};
    if (marks_.empty() || ::stat(path.c_str(), &info) != 0) return std::nullopt;
    const auto mark = marks_.find({info.st_dev, info.st_ino});
    if (mark == marks_.end() || mark->second.open.empty()) return std::nullopt;
    std::optional<Descriptor> found(std::move(mark->second.open.back()));
    mark->second.open.pop_back();
    return found;
  }

 private:
  struct Mark {
    int count = 0;
    std::vector<Descriptor> open;
  };

  std::mutex mutex_;
  std::map<Inode, Mark> marks_;
};

AliveMarks& alive_marks() {
  static auto& marks = *new AliveMarks;  // files may be closed when statics are gone
  return marks;
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path, bool direct)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), direct_(direct) {}
  ~PosixFile() override { alive_marks().close(std::move(descriptor_)); }

  Result<size_t> read_at(uint64_t offset, MutableBytes out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = ::pread(descriptor_.number(), out.data() + done, out.size() - done,
                                    static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("read", path_);
      if (count == 0) break;
      done += static_cast<size_t>(count);
      // A direct read that stopped inside a block has met the end of the file.
      if (direct_ && done % kDirectAlignment != 0) break;
    }
    return done;
  }

  bool read_cached_at(uint64_t offset, MutableBytes out) override {
    // A read that must not wait starts readahead where it finds nothing, which the direct read that
    // follows would compete with: ask first where the kernel can tell (Linux 6.5).
    if (is_cached(offset, out.size()) == false) return false;
    size_t done = 0;
    while (done < out.size()) {
      const iovec part{out.data() + done, out.size() - done};
      const ssize_t count =
          ::preadv2(descriptor_.number(), &part, 1, static_cast<off_t>(offset + done), RWF_NOWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EOPNOTSUPP && lies_in_memory()) {
        const auto read = read_at(offset, out);
        return read && *read == out.size();
      }
      if (count <= 0) return false;
      done += static_cast<size_t>(count);
    }
    return true;
  }

  Status write_at(uint64_t offset, ByteSpan data) override {
    CAIRN_CHECK(check_sound());
    size_t done = 0;
    while (done < data.size()) {
      const ssize_t count = ::pwrite(descriptor_.number(), data.data() + done, data.size() - done,
                                     static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return fail_for_good("write");
      done += static_cast<size_t>(count);
    }
    return {};
  }

  Status truncate(uint64_t bytes) override {
    CAIRN_CHECK(check_sound());
    if (::ftruncate(descriptor_.number(), static_cast<off_t>(bytes)) != 0) {
      return fail_for_good("set the length of");
    }
    return {};
  }

  void write_back(uint64_t offset, uint64_t bytes) override {
    (void)::sync_file_range(descriptor_.number(), static_cast<off_t>(offset),
                            static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE);
  }

  Status sync() override {
    CAIRN_CHECK(check_sound());
    if (::fsync(descriptor_.number()) != 0) return fail_for_good("sync");
    return {};
  }

  Result<uint64_t> size() override {
    struct stat info {};
    if (::fstat(descriptor_.number(), &info) != 0) return failed("look at", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  bool direct() const override { return direct_; }

  const std::string& path() const override { return path_; }

 private:
  /// Whether the page cache holds the whole range; nullopt when the kernel cannot tell.
  std::optional<bool> is_cached(uint64_t offset, uint64_t bytes) const {
    constexpr long kCachestat = 451;
    struct {
      uint64_t offset, bytes;
    } range{offset, bytes};
    struct {
      uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } pages{};
    if (::syscall(kCachestat, descriptor_.number(), &range, &pages, 0U) != 0) return std::nullopt;
    static const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    const uint64_t first = offset / page_bytes,
                   end = (offset + bytes + page_bytes - 1) / page_bytes;
    return pages.cached >= end - first;
  }

  bool lies_in_memory() const {
    struct statfs info {};
    return ::fstatfs(descriptor_.number(), &info) == 0 && info.f_type == TMPFS_MAGIC;
  }

  Status check_sound() const {
    const int number = error_.load();
    if (number == 0) return {};
    return fail_errno(number, fmt::format("'{}' failed before", path_));
  }

  tl::unexpected<Error> fail_for_good(std::string_view what) {
    if (errno == 0) errno = EIO;
    error_.store(errno);
    return failed(what, path_);
  }

  Descriptor descriptor_;
  const std::string path_;
  const bool direct_;
  std::atomic<int> error_{0};
};

struct flock whole_file(short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  return range;
}

class OfdLock final : public FileLock {
 public:
  explicit OfdLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  ~OfdLock() override {
    // Explicitly: a forked child shares the description and would keep the lock alive.
    struct flock range = whole_file(F_UNLCK);
    ::fcntl(descriptor_.number(), F_OFD_SETLK, &range);
  }

 private:
  const Descriptor descriptor_;
};

/// The kernel does not say who holds such a lock: the holder does, in the file, for people.
void write_holder(const Descriptor& lock) {
  const ProcessIdentity self = this_process();
  const std::string words =
      fmt::format("{} on {} since {}", self.pid, self.host, format_rfc3339(now_ns()));
  // That it could not be written, on a full disk say, keeps nobody out.
  const bool is_written = ::ftruncate(lock.number(), 0) == 0 &&
                          ::pwrite(lock.number(), words.data(), words.size(), 0) >= 0;
  (void)is_written;
}

std::string holder_of(const Descriptor& lock) {
  std::array<char, 256> words{};
  const ssize_t count = ::pread(lock.number(), words.data(), words.size(), 0);
  return count <= 0 ? ""
                    : fmt::format(" (process {})", std::string_view(words.data(), size_t(count)));
}

/// Not through a link, nor a pipe: the holder's words are written into the file.
Result<Descriptor> open_lock(const std::string& path) {
  int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  Descriptor descriptor(open_retrying(path, flags));
  if (descriptor.number() < 0 && errno != ELOOP) return failed("open", path);
  struct stat info {};
  const bool is_open = descriptor.number() >= 0;
  if (is_open && ::fstat(descriptor.number(), &info) != 0) return failed("look at", path);
  if (is_open && S_ISREG(info.st_mode)) return descriptor;
  return fail(Code::kFailed,
              fmt::format("the lock '{}' is no file but a link or a pipe, say", path),
              "remove it if no process uses the store: it is made anew");
}

class AliveMark final : public FileLock {
 public:
  AliveMark(Descriptor descriptor, AliveMarks::Inode inode)
      : descriptor_(std::move(descriptor)), inode_(inode) {
    alive_marks().add(inode_);
  }
  ~AliveMark() override { alive_marks().drop(inode_); }

 private:
  const Descriptor descriptor_;
  const AliveMarks::Inode inode_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY | O_NONBLOCK;  // a pipe must not hold up who takes it for a file
    case OpenMode::kReadDirect:
      return O_RDONLY | O_DIRECT;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateDirect:
      return O_RDWR | O_CREAT | O_EXCL | O_DIRECT;
    case OpenMode::kUpdate:
      return O_RDWR | O_NOFOLLOW | O_NONBLOCK;
  }
  return O_RDONLY;
}

class PosixFs final : public Fs {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kRead) {
      auto open = alive_marks().find_open(path);
      if (open) return std::make_unique<PosixFile>(std::move(*open), path, false);
    }
    int flags = flags_of(mode);
    const int number = open_retrying(path, flags);
    if (number < 0) return failed("open", path);
    return std::make_unique<PosixFile>(Descriptor(number), path, (flags & O_DIRECT) != 0);
  }

  Status rename(const std::string& source, const std::string& target) override {
    if (::rename(source.c_str(), target.c_str()) != 0) return failed("rename", source);
    return {};
  }

  Status rename_new(const std::string& source, const std::string& target) override {
    if (::renameat2(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
      return {};
    }
    if (errno != EINVAL && errno != ENOSYS) return failed("make", target);
    // File systems without it, NFS among them, know links.
    if (::link(source.c_str(), target.c_str()) != 0) return failed("make", target);
    return remove(source);
  }

  Status remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return failed("remove", path);
    return {};
  }

  Status make_folders(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) return {};
      errno = ENOTDIR;
      return fail(Code::kExists, fmt::format("'{}' is no folder", path));
    }
    if (errno != ENOENT) return failed("look at", path);
    const std::string parent = parent_folder(path);
    if (parent != path) CAIRN_CHECK(make_folders(parent));
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return failed("make the folder", path);
    return sync_folder(parent);
  }

  Status sync_folder(const std::string& path) override {
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.number() < 0) return failed("open the folder", path);
    if (::fsync(folder.number()) != 0) return failed("sync the folder", path);
    return {};
  }

  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
    if (folder == nullptr) return failed("list", path);
    std::vector<FolderEntry> entries;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      mode_t mode = DTTOIF(entry->d_type);
      struct stat looked {};
      // Some file systems do not say in the list what a name stands for.
      if (entry->d_type == DT_UNKNOWN) {
        const std::string named = join_path(path, name);
        const bool is_there = ::lstat(named.c_str(), &looked) == 0;
        if (!is_there && errno == ENOENT) continue;  // it went meanwhile
        // What cannot be looked at must not pass for something that is none of ours.
        if (!is_there) return failed("look at", named);
        mode = looked.st_mode;
      }
      const bool is_link = S_ISLNK(mode);
      if (is_link) {
        const std::string named = join_path(path, name);
        const bool is_there = ::stat(named.c_str(), &looked) == 0;
        const bool leads_nowhere = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
        if (!is_there && !leads_nowhere) return failed("look at", named);
        mode = is_there ? looked.st_mode : 0;
      }
      entries.push_back({name, S_ISDIR(mode), S_ISREG(mode), is_link});
    }
    if (errno != 0) return failed("list", path);
    std::sort(entries.begin(), entries.end(),
              [](const FolderEntry& a, const FolderEntry& b) { return a.name < b.name; });
    return entries;
  }

  Result<FileInfo> info(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return failed("look at", path);
    return FileInfo{static_cast<uint64_t>(info.st_size),
                    static_cast<uint64_t>(info.st_blocks) * 512,
                    info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec,
                    S_ISDIR(info.st_mode), S_ISREG(info.st_mode)};
  }

  Status touch(const std::string& path) override {
    // No times given: the server of a network file system then sets them by its own clock.
    if (::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0)
      return failed("touch", path);
    return {};
  }

  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) return failed("look at", path);
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path, const Wait& wait) override {
    CAIRN_TRY(Descriptor descriptor, open_lock(path));
    const auto deadline = std::chrono::steady_clock::now() + wait.limit;
    auto pause = std::chrono::microseconds(100);
    for (;;) {
      struct flock range = whole_file(F_WRLCK);
      if (::fcntl(descriptor.number(), F_OFD_SETLK, &range) == 0) break;
      if (errno != EAGAIN && errno != EACCES && errno != EINTR) return failed("lock", path);
      if (std::chrono::steady_clock::now() >= deadline) {
        return fail(Code::kBusy,
                    fmt::format("another process still holds '{}' after {} ms{}", path,
                                wait.limit.count(), holder_of(descriptor)),
                    "wait for it, or allow more time by '--wait'");
      }
      if (is_stopped(wait.stop)) {
        return fail(Code::kCancelled, fmt::format("stopped while waiting for '{}'", path));
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(20000));
    }
    write_holder(descriptor);
    return std::make_unique<OfdLock>(std::move(descriptor));
  }

  Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) override {
    int flags = O_RDWR;
    Descriptor descriptor(open_retrying(path, flags));
    struct stat info {};
    if (descriptor.number() < 0 || ::fstat(descriptor.number(), &info) != 0) {
      return failed("open", path);
    }
    // Marked first: another thread that opened and closed the file in between would drop the lock.
    const int number = descriptor.number();
    auto mark = std::make_unique<AliveMark>(std::move(descriptor),
                                            AliveMarks::Inode{info.st_dev, info.st_ino});
    struct flock range = whole_file(F_WRLCK);
    if (::fcntl(number, F_SETLK, &range) != 0) return failed("lock", path);
    return mark;
  }

  Result<bool> is_marked_here(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return alive_marks().has({info.st_dev, info.st_ino});
    if (errno == ENOENT) return false;
    return failed("look at", path);
  }

  Result<bool> is_marked_alive(const std::string& path) override {
    CAIRN_TRY(const bool is_mine, is_marked_here(path));
    if (is_mine) return true;
    // Asking takes no right to write, which a mount may not give.
    int flags = flags_of(OpenMode::kRead);
    const Descriptor descriptor(open_retrying(path, flags));
    if (descriptor.number() < 0) return failed("open", path);
    struct flock range = whole_file(F_WRLCK);
    if (::fcntl(descriptor.number(), F_GETLK, &range) != 0) return failed("look at", path);
    return range.l_type != F_UNLCK;
  }
};

}  // namespace

Fs& posix_fs() {
  static PosixFs fs;
  return fs;
}

}  // namespace cairn
