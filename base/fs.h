// The one place where Cairn touches files. Everything above speaks to an Fs, so that tests can put
// a failing, full or power-cut file system underneath. Paths are plain strings, as the OS takes
// them.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// O_DIRECT wants offsets, lengths and memory in multiples of this many bytes.
inline constexpr uint64_t kDirectAlignment = 4096;

enum class OpenMode : uint8_t {
  kRead,          ///< an existing file, through the page cache
  kReadDirect,    ///< an existing file, past the page cache where the file system can
  kCreate,        ///< a new file (exists already: kExists), through the page cache
  kCreateDirect,  ///< a new file, past the page cache where the file system can
  kUpdate,        ///< an existing file, to be written too, through the page cache
};

/// An open file. Threads: any number may read; one at a time may write a range.
/// After a failed write or sync every later write and sync of the file fails too: what reached the
/// disk is unknown from then on, and repeating fsync would hide that.
class File {
 public:
  virtual ~File() = default;
  /// Fills `out` from `offset`; the count is less than asked only where the file ends.
  virtual Result<size_t> read_at(uint64_t offset, MutableBytes out) = 0;
  /// Fills `out` if every byte is in memory already, without waiting for a disk. False, and `out`
  /// is unspecified, when that is not so. A file system that cannot tell says false.
  virtual bool read_cached_at(uint64_t offset, MutableBytes out) = 0;
  /// What was read there is not what it should be: a copy that is kept nearby is given up, so that
  /// the next read asks the file itself.
  virtual void distrust(uint64_t /*offset*/, uint64_t /*bytes*/) {}
  /// Writes all of `data` at `offset`, or fails.
  virtual Status write_at(uint64_t offset, ByteSpan data) = 0;
  virtual Status truncate(uint64_t bytes) = 0;
  /// Begins to bring to the disk what was written there, and does not wait for it, so that less is
  /// left to sync(). A hint.
  virtual void write_back(uint64_t /*offset*/, uint64_t /*bytes*/) {}
  /// Makes data and length durable. The name needs sync_folder of the parent folder.
  virtual Status sync() = 0;
  virtual Result<uint64_t> size() = 0;
  /// True when reads and writes must keep kDirectAlignment (offset, length and memory). A file
  /// asked for with a ...Direct mode is not direct where the file system refuses O_DIRECT.
  virtual bool direct() const = 0;
  virtual const std::string& path() const = 0;
};

struct FileInfo {
  uint64_t bytes = 0;
  uint64_t disk_bytes = 0;  ///< blocks really taken
  int64_t modified_ns = 0;  ///< by the file system's clock, since the epoch
  bool is_folder = false;
  bool is_file = true;  ///< a regular one
};

struct FolderEntry {
  std::string name;
  bool is_folder = false;
  bool is_file = true;            ///< a regular one; neither: a socket, a pipe, a broken link, ...
  bool is_link = false;           ///< then the others say what it leads to
  std::optional<uint64_t> bytes;  ///< of a file, where a listing tells
};

/// How long to wait for a lock, and what ends the waiting before.
struct Wait {
  template <class Rep, class Period>
  // NOLINTNEXTLINE(google-explicit-constructor): a duration is a wait that nothing ends before.
  Wait(std::chrono::duration<Rep, Period> longest, const std::atomic<bool>* stop_flag = nullptr)
      : limit(std::chrono::duration_cast<std::chrono::milliseconds>(longest)), stop(stop_flag) {}

  std::chrono::milliseconds limit;
  const std::atomic<bool>* stop;  ///< set by another thread: kCancelled
};

/// A lock on a file, given back by the destructor.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// How the files of a file system are best read.
struct ReadHabits {
  /// Of one read, where neighbours are read together.
  uint64_t bytes_max = 4 * kMiB;
  /// Between neighbours, rather read than left out: less than what a further request costs.
  uint64_t gap_bytes_max = 256 * kKiB;
  /// Reads under way beside those that the CPUs are busy with: disks want several at once.
  unsigned waiting = 6;
  /// Each read waits for a network: many small ones are made beside each other.
  bool is_remote = false;
};

/// The bytes of a file and which version of it they are.
struct VersionedBytes {
  Bytes bytes;
  std::string version;
};

/// A file that someone began to write and that nobody sees yet.
struct UnfinishedFile {
  std::string path;
  std::string id;        ///< tells several of one path apart
  int64_t begun_ns = 0;  ///< by the file system's clock, since the epoch
};

/// Files that are replaced on the condition that they are what was read, where there are neither
/// locks nor renames. There a file appears whole, or not at all. Threads: any.
class ConditionalFiles {
 public:
  /// A new file of up to so many bytes is sent at once, a longer one in several parts.
  static constexpr uint64_t kSentAtOnceBytes = 8 * kMiB;
  /// Memory of a longer one while it is written: parts under way, and one that is filled.
  static constexpr uint64_t kSentInPartsBytes = 5 * kSentAtOnceBytes;

  virtual ~ConditionalFiles() = default;
  virtual Result<VersionedBytes> read(const std::string& path, uint64_t bytes_max) = 0;
  /// In one step, if the file still has that version; "": if there is none. Errors: kExists when
  /// it has another. `may_be_done`: with an error, whether the file may have been replaced.
  virtual Status replace(const std::string& path, const std::string& version, ByteSpan data,
                         bool& may_be_done) = 0;
  /// All below a folder, whoever writes them.
  virtual Result<std::vector<UnfinishedFile>> unfinished(const std::string& folder) = 0;
  /// Takes back the room of one, whose writer fails from then on. Success too when there is none.
  virtual Status drop(const UnfinishedFile& file) = 0;
};

class Fs {
 public:
  virtual ~Fs() = default;
  virtual ReadHabits read_habits() const { return {}; }
  /// Null where locks and renames do it.
  virtual ConditionalFiles* conditional() { return nullptr; }
  /// The whole file as it is now; kCorrupt when it is longer than `bytes_max`.
  virtual Result<Bytes> read_whole(const std::string& path, uint64_t bytes_max);
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Status rename(const std::string& source, const std::string& target) = 0;
  /// As rename, but never in the place of another file: kExists.
  virtual Status rename_new(const std::string& source, const std::string& target) = 0;
  /// Removes a file or an empty folder.
  virtual Status remove(const std::string& path) = 0;
  /// Makes the folder and its parents, and makes their names durable; fine when it is there
  /// already.
  virtual Status make_folders(const std::string& path) = 0;
  virtual Status sync_folder(const std::string& path) = 0;
  /// Entries without "." and "..", in name order.
  virtual Result<std::vector<FolderEntry>> list(const std::string& path) = 0;
  virtual Result<FileInfo> info(const std::string& path) = 0;
  /// Sets modified_ns of an existing file, or link, to the file system's present time.
  virtual Status touch(const std::string& path) = 0;
  virtual Result<uint64_t> free_bytes(const std::string& path) = 0;
  /// An exclusive lock of the whole file (made when missing) against every other holder, in this
  /// process or another; waits, then kBusy, naming who says to hold it in the file. An
  /// open-file-description lock, released explicitly, so that a forked child never keeps it alive.
  /// kFailed for what is no regular file: the lock is written to, and a link leads elsewhere.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path, const Wait& wait) = 0;
  /// A mark that this process lives, held on an existing file until given back or the process ends;
  /// a forked child does not inherit it (a POSIX record lock).
  virtual Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) = 0;
  /// Whether some process (this one included) holds mark_alive on the file.
  virtual Result<bool> is_marked_alive(const std::string& path) = 0;
  /// Whether the file of this name is one that this process holds mark_alive on: not another that
  /// took its name, and not one that is gone.
  virtual Result<bool> is_marked_here(const std::string& path) = 0;
};

/// The operating system's files. Threads: any.
Fs& posix_fs();

bool file_exists(Fs& fs, const std::string& path);
/// As Fs::read_whole.
inline Result<Bytes> read_file(Fs& fs, const std::string& path, uint64_t bytes_max) {
  return fs.read_whole(path, bytes_max);
}
/// Creates `path` with `data` and makes the data durable, not yet the name.
Status create_and_sync(Fs& fs, const std::string& path, ByteSpan data);
/// As create_and_sync, and the name too.
Status write_new_file(Fs& fs, const std::string& path, ByteSpan data);
/// Replaces `path` in one step: write `temporary`, sync, rename, sync the folder. A reader sees the
/// old bytes or the new ones; after success the new ones survive a power cut.
Status replace_file(Fs& fs, const std::string& path, const std::string& temporary, ByteSpan data);
std::string parent_folder(const std::string& path);
/// Makes the folder of `path` and then, by `make`, the file. A collector may remove an empty folder
/// in between: then once more.
template <class Make>
auto make_in_folder(Fs& fs, const std::string& path, const Make& make) -> decltype(make()) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    CAIRN_CHECK(fs.make_folders(parent_folder(path)));
    auto made = make();
    if (made || made.error().code != Code::kNotFound || attempt == kAttempts) return made;
  }
}
/// Makes the name durable of a file that make_in_folder() has made, and that of its folder: whoever
/// made the folder may have died before it was.
Status sync_in_folder(Fs& fs, const std::string& path);
std::string join_path(const std::string& folder, const std::string& name);

}  // namespace cairn
