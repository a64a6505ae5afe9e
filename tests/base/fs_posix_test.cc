// The operating system's files: reads, writes, sticky errors, locks and marks of life. The
// program's own fsync, ftruncate and pwrite stand before those of libc, so that the kernel can be
// made to fail, to be interrupted and to write less than asked.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <numeric>
#include <thread>
#include <utility>

#include "base/buffer.h"
#include "base/fs.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

extern char** environ;

namespace {

struct Kernel {
  int fsync_errno = 0;     // of the next fsync
  int truncate_errno = 0;  // of the next ftruncate
  int write_errno = 0;     // of the next pwrite
  size_t write_bytes_max = SIZE_MAX;
  int calls = 0;
  bool hides_types = false;  // of names in folders, as some file systems do
  int lstat_errno = 0;       // of the next lstat
  int stat_errno = 0;        // of the next stat
};
Kernel kernel;

int take(int& number) { return std::exchange(number, 0); }

}  // namespace

extern "C" {
int fsync(int file) {
  ++kernel.calls;
  errno = take(kernel.fsync_errno);
  return errno != 0 ? -1 : static_cast<int>(syscall(SYS_fsync, file));
}
int ftruncate64(int file, off64_t bytes) noexcept {
  ++kernel.calls;
  errno = take(kernel.truncate_errno);
  return errno != 0 ? -1 : static_cast<int>(syscall(SYS_ftruncate, file, bytes));
}
ssize_t pwrite64(int file, const void* data, size_t bytes, off64_t offset) {
  ++kernel.calls;
  errno = take(kernel.write_errno);
  if (errno != 0) return -1;
  return syscall(SYS_pwrite64, file, data, std::min(bytes, kernel.write_bytes_max), offset);
}
dirent64* readdir64(DIR* folder) {
  static const auto real = reinterpret_cast<dirent64* (*)(DIR*)>(dlsym(RTLD_NEXT, "readdir64"));
  dirent64* entry = real(folder);
  if (entry != nullptr && kernel.hides_types) entry->d_type = DT_UNKNOWN;
  return entry;
}
int stat64(const char* path, struct stat64* info) noexcept {
  errno = take(kernel.stat_errno);
  if (errno != 0) return -1;
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, info, 0));
}
int lstat64(const char* path, struct stat64* info) noexcept {
  errno = take(kernel.lstat_errno);
  if (errno != 0) return -1;
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, info, AT_SYMLINK_NOFOLLOW));
}
}

namespace cairn {
namespace {

Bytes numbered(size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  return bytes;
}

class PosixFsTest : public ::testing::Test {
 protected:
  void SetUp() override { kernel = {}; }
  void TearDown() override { kernel = {}; }

  std::string file(const std::string& name) const { return folder_ / name; }
  Status write(const std::string& name, ByteSpan data) {
    return write_new_file(fs_, file(name), data);
  }

  const TempFolder folder_;
  Fs& fs_ = posix_fs();
};

TEST_F(PosixFsTest, WritesAndReadsAnywhere) {
  const Bytes data = numbered(10000);
  const auto out = *fs_.open(file("f"), OpenMode::kCreate);
  EXPECT_FALSE(out->direct());
  ASSERT_TRUE(succeeds(out->write_at(5000, ByteSpan(data).subspan(5000))));
  ASSERT_TRUE(succeeds(out->write_at(0, ByteSpan(data).first(5000))));
  EXPECT_EQ(*out->size(), data.size());
  EXPECT_EQ(out->path(), file("f"));
  const auto in = *fs_.open(file("f"), OpenMode::kRead);
  for (const auto& [offset, bytes, found] : {std::array<size_t, 3>{0, 10000, 10000},
                                             {1, 9999, 9999},
                                             {9999, 1, 1},
                                             {9999, 5, 1},
                                             {10000, 1, 0},
                                             {20000, 7, 0},
                                             {17, 0, 0}}) {
    Bytes part(bytes, 0xee);
    ASSERT_EQ(*in->read_at(offset, part), found) << offset;
    EXPECT_TRUE(std::equal(part.begin(), part.begin() + static_cast<ptrdiff_t>(found),
                           data.begin() + static_cast<ptrdiff_t>(std::min(offset, data.size()))));
  }
  ASSERT_TRUE(succeeds(out->truncate(3)));
  EXPECT_EQ(*in->size(), 3u);
}

TEST_F(PosixFsTest, OpensNamesWhatIsWrong) {
  ASSERT_TRUE(succeeds(write("f", as_bytes("x"))));
  const struct {
    const char* name;
    OpenMode mode;
    Code code;
  } kTable[] = {
      {"g", OpenMode::kRead, Code::kNotFound},   {"g", OpenMode::kReadDirect, Code::kNotFound},
      {"f", OpenMode::kCreate, Code::kExists},   {"f", OpenMode::kCreateDirect, Code::kExists},
      {"f/g", OpenMode::kRead, Code::kNotFound}, {"no/f", OpenMode::kCreate, Code::kNotFound}};
  for (const auto& row : kTable) {
    const auto opened = fs_.open(file(row.name), row.mode);
    ASSERT_TRUE(fails_with(row.code, opened)) << row.name;
    EXPECT_NE(opened.error().message.find("'" + file(row.name) + "'"), std::string::npos);
  }
}

TEST_F(PosixFsTest, DirectFilesHoldTheSameBytes) {
  for (const char* parent : {"/dev/shm", "/tmp"}) {
    if (!std::filesystem::exists(parent)) continue;
    const TempFolder folder(parent);
    const std::string path = folder / "f";
    AlignedBuffer buffer(3 * kDirectAlignment);
    const Bytes data = numbered(buffer.size());
    std::copy(data.begin(), data.end(), buffer.data());
    const auto out = fs_.open(path, OpenMode::kCreateDirect);
    ASSERT_TRUE(succeeds(out)) << parent;
    ASSERT_TRUE(succeeds((*out)->write_at(0, buffer.span())));
    ASSERT_TRUE(succeeds((*out)->truncate(kDirectAlignment * 2 + 5)));
    const auto in = fs_.open(path, OpenMode::kReadDirect);
    ASSERT_TRUE(succeeds(in)) << parent;
    std::fill(buffer.data(), buffer.data() + buffer.size(), uint8_t{0});
    ASSERT_EQ(*(*in)->read_at(kDirectAlignment, buffer.span().first(2 * kDirectAlignment)),
              kDirectAlignment + 5);
    EXPECT_TRUE(std::equal(buffer.data(), buffer.data() + kDirectAlignment + 5,
                           data.begin() + kDirectAlignment));
  }
}

TEST_F(PosixFsTest, CachedReadsGiveTheBytesOrNothing) {
  const Bytes data = numbered(100000);
  ASSERT_TRUE(succeeds(write("f", data)));
  const auto in = *fs_.open(file("f"), OpenMode::kRead);
  Bytes part(1000, 0xee);
  if (in->read_cached_at(3, part)) {
    EXPECT_TRUE(std::equal(part.begin(), part.end(), data.begin() + 3));
  }
  EXPECT_FALSE(in->read_cached_at(99999, part)) << "beyond the end";
  const TempFolder memory("/dev/shm");
  ASSERT_TRUE(succeeds(write_new_file(fs_, memory / "f", data)));
  const auto in_memory = *fs_.open(memory / "f", OpenMode::kRead);
  ASSERT_TRUE(in_memory->read_cached_at(3, part));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), data.begin() + 3));
  EXPECT_FALSE(in_memory->read_cached_at(99999, part));
}

TEST_F(PosixFsTest, ShortAndInterruptedWritesGoOn) {
  const Bytes data = numbered(1000);
  const auto out = *fs_.open(file("f"), OpenMode::kCreate);
  kernel.write_bytes_max = 7;
  kernel.write_errno = EINTR;
  ASSERT_TRUE(succeeds(out->write_at(0, data)));
  EXPECT_EQ(kernel.calls, 1 + 143);
  EXPECT_EQ(*read_file(fs_, file("f"), kMiB), data);
}

TEST_F(PosixFsTest, AfterAFailedSyncNothingIsAcknowledged) {
  const auto out = *fs_.open(file("f"), OpenMode::kCreate);
  ASSERT_TRUE(succeeds(out->write_at(0, as_bytes("x"))));
  kernel.fsync_errno = EIO;
  ASSERT_TRUE(fails_with(Code::kFailed, out->sync()));
  kernel.calls = 0;
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(fails_with(Code::kFailed, out->sync()));
    EXPECT_TRUE(fails_with(Code::kFailed, out->write_at(0, as_bytes("y"))));
    EXPECT_TRUE(fails_with(Code::kFailed, out->truncate(0)));
  }
  EXPECT_EQ(kernel.calls, 0) << "the kernel may not be asked again: it would forget the error";
  EXPECT_EQ(as_text(*read_file(fs_, file("f"), 9)), "x");
}

TEST_F(PosixFsTest, AFailedWriteOrTruncationSticks) {
  for (int* number : {&kernel.write_errno, &kernel.truncate_errno}) {
    const std::string path = file(number == &kernel.write_errno ? "w" : "t");
    const auto out = *fs_.open(path, OpenMode::kCreate);
    *number = ENOSPC;
    const Status failed =
        number == &kernel.write_errno ? out->write_at(0, as_bytes("x")) : out->truncate(9);
    ASSERT_TRUE(fails_with(Code::kNoSpace, failed));
    EXPECT_TRUE(fails_with(Code::kNoSpace, out->sync()));
    EXPECT_TRUE(fails_with(Code::kNoSpace, out->write_at(0, as_bytes("x"))));
    EXPECT_TRUE(fails_with(Code::kNoSpace, out->truncate(9)));
    EXPECT_EQ(*out->size(), 0u);
  }
}

TEST_F(PosixFsTest, AFolderThatCannotBeSyncedIsAnError) {
  kernel.fsync_errno = EIO;
  EXPECT_TRUE(fails_with(Code::kFailed, fs_.sync_folder(folder_.path())));
  EXPECT_TRUE(succeeds(fs_.sync_folder(folder_.path())));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.sync_folder(file("no"))));
  kernel.fsync_errno = EIO;
  EXPECT_TRUE(fails_with(Code::kFailed, write("f", as_bytes("x"))));
}

TEST_F(PosixFsTest, MakesFoldersAndTheirNamesDurable) {
  kernel.calls = 0;
  ASSERT_TRUE(succeeds(fs_.make_folders(file("a/b/c"))));
  EXPECT_EQ(kernel.calls, 3) << "one sync for the name of each new folder";
  kernel.calls = 0;
  ASSERT_TRUE(succeeds(fs_.make_folders(file("a/b/c"))));
  EXPECT_EQ(kernel.calls, 0);
  EXPECT_TRUE(fs_.info(file("a/b/c"))->is_folder);
  ASSERT_TRUE(succeeds(write("f", {})));
  EXPECT_TRUE(fails_with(Code::kExists, fs_.make_folders(file("f"))));
  EXPECT_FALSE(fs_.make_folders(file("f/g")));
  kernel.fsync_errno = EIO;
  EXPECT_TRUE(fails_with(Code::kFailed, fs_.make_folders(file("d"))));
}

TEST_F(PosixFsTest, ListsInNameOrder) {
  ASSERT_TRUE(succeeds(write("b", {})));
  ASSERT_TRUE(succeeds(write("a", {})));
  ASSERT_TRUE(succeeds(write(".c", {})));
  ASSERT_TRUE(succeeds(fs_.make_folders(file("B"))));
  std::filesystem::create_directory_symlink(file("B"), file("l"));
  std::string found;
  const auto entries = *fs_.list(folder_.path());
  for (const FolderEntry& entry : entries) found += entry.name + (entry.is_folder ? "/ " : " ");
  EXPECT_EQ(found, ".c B/ a b l/ ");
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.list(file("no"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.list(file("a")))) << "no folder";
}

TEST_F(PosixFsTest, ListsWhereTheFolderDoesNotTellTypes) {
  ASSERT_TRUE(write("a", {}));
  ASSERT_TRUE(succeeds(fs_.make_folders(file("b"))));
  std::filesystem::create_symlink(file("a"), file("c"));
  std::filesystem::create_symlink(file("gone"), file("d"));
  const auto kinds = [&](const std::vector<FolderEntry>& entries) {
    std::string letters;
    for (const auto& entry : entries) letters += entry.is_folder ? 'f' : entry.is_file ? 'r' : '-';
    return letters;
  };
  EXPECT_EQ(kinds(*fs_.list(folder_.path())), "rfr-");
  kernel.hides_types = true;
  EXPECT_EQ(kinds(*fs_.list(folder_.path())), "rfr-");
  kernel.lstat_errno = EIO;
  EXPECT_TRUE(fails_with(Code::kFailed, fs_.list(folder_.path()))) << "it may be ours";
  kernel.lstat_errno = ENOENT;
  EXPECT_EQ(fs_.list(folder_.path())->size(), 3u) << "one went meanwhile";
}

TEST_F(PosixFsTest, RenameNewTakesNobodysName) {
  ASSERT_TRUE(succeeds(write("a", as_bytes("a"))));
  ASSERT_TRUE(succeeds(write("b", as_bytes("bb"))));
  EXPECT_TRUE(fails_with(Code::kExists, fs_.rename_new(file("a"), file("b"))));
  EXPECT_EQ(fs_.info(file("b"))->bytes, 2u);
  EXPECT_TRUE(succeeds(fs_.rename_new(file("a"), file("c"))));
  EXPECT_EQ(fs_.info(file("c"))->bytes, 1u);
  EXPECT_FALSE(file_exists(fs_, file("a")));
}

TEST_F(PosixFsTest, RemovesFilesAndEmptyFolders) {
  ASSERT_TRUE(succeeds(fs_.make_folders(file("d"))));
  ASSERT_TRUE(succeeds(write("d/f", as_bytes("12345"))));
  EXPECT_EQ(fs_.info(file("d/f"))->bytes, 5u);
  EXPECT_GT(fs_.info(file("d/f"))->modified_ns, 0);
  EXPECT_FALSE(fs_.remove(file("d"))) << "not empty";
  EXPECT_TRUE(succeeds(fs_.rename(file("d/f"), file("g"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.rename(file("d/f"), file("g"))));
  EXPECT_TRUE(succeeds(fs_.remove(file("d"))));
  EXPECT_TRUE(succeeds(fs_.remove(file("g"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.remove(file("g"))));
  EXPECT_GT(*fs_.free_bytes(folder_.path()), 0u);
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.free_bytes(file("no"))));
}

TEST_F(PosixFsTest, ALockKeepsOthersOutInThisProcessToo) {
  const auto at_once = std::chrono::milliseconds(0);
  auto held = fs_.lock(file("lock"), at_once);
  ASSERT_TRUE(succeeds(held));
  EXPECT_TRUE(fails_with(Code::kBusy, fs_.lock(file("lock"), at_once)));
  EXPECT_TRUE(fails_with(Code::kBusy, fs_.lock(file("lock"), std::chrono::milliseconds(3))));
  EXPECT_TRUE(succeeds(fs_.lock(file("other"), at_once)));
  { const auto closed = fs_.open(file("lock"), OpenMode::kRead); }
  EXPECT_TRUE(fails_with(Code::kBusy, fs_.lock(file("lock"), at_once)))
      << "closing another descriptor must not give the lock back";
  held->reset();
  EXPECT_TRUE(succeeds(fs_.lock(file("lock"), at_once)));
}

TEST_F(PosixFsTest, AWaitingLockerGetsTheLock) {
  auto held = *fs_.lock(file("lock"), std::chrono::milliseconds(0));
  std::atomic<int> inside{1}, most{1};
  const auto count = [&](int change) {
    const int now = inside += change;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto mine = fs_.lock(file("lock"), std::chrono::seconds(60));
      EXPECT_TRUE(succeeds(mine));
      count(1);
      count(-1);
    });
  }
  count(-1);
  held.reset();
  threads.clear();
  EXPECT_EQ(most, 1);
}

/// Another process that runs a line of Python on file `path`; `say` is a socket to it.
class OtherProcess {
 public:
  OtherProcess(const std::string& line, const std::string& path) {
    std::array<int, 2> sockets{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], 0);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], 1);
    std::array<std::string, 4> words = {"python3", "-c", "import fcntl, os, sys\n" + line, path};
    std::array<char*, 5> argv{};
    std::transform(words.begin(), words.end(), argv.begin(),
                   [](auto& word) { return word.data(); });
    EXPECT_EQ(posix_spawnp(&pid_, "python3", &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(sockets[1]);
    socket_ = sockets[0];
  }
  ~OtherProcess() { end(); }
  /// What it prints next, one byte; 0 when it has ended.
  char hear() {
    char said = 0;
    return ::read(socket_, &said, 1) == 1 ? said : '\0';
  }
  void end() {
    if (socket_ < 0) return;
    ::close(socket_);
    socket_ = -1;
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
  int socket_ = -1;
};

constexpr const char* kMark =
    "file = open(sys.argv[1], 'r+')\n"
    "fcntl.lockf(file, fcntl.LOCK_EX)\n"
    "os.write(1, b'm')\n"
    "sys.stdin.read()";
constexpr const char* kTry =
    "file = open(sys.argv[1], 'r+')\n"
    "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB); os.write(1, b'f')\n"
    "except OSError: os.write(1, b'h')";

TEST_F(PosixFsTest, ALockIsAFileAndNoLink) {
  ASSERT_TRUE(write("precious", as_bytes("mine")));
  std::filesystem::create_symlink(file("precious"), file("link"));
  std::filesystem::create_symlink(file("nowhere"), file("broken"));
  ASSERT_EQ(mkfifo(file("pipe").c_str(), 0600), 0);
  for (const char* name : {"link", "broken", "pipe"}) {
    EXPECT_TRUE(fails_with(Code::kFailed, fs_.lock(file(name), std::chrono::seconds(0)))) << name;
  }
  EXPECT_EQ(as_text(*read_file(fs_, file("precious"), 99)), "mine");
  EXPECT_FALSE(file_exists(fs_, file("nowhere")));
}

TEST_F(PosixFsTest, ListsWhatLinksLeadTo) {
  ASSERT_TRUE(write("a", {}));
  ASSERT_TRUE(succeeds(fs_.make_folders(file("b"))));
  std::filesystem::create_symlink(file("a"), file("c"));
  std::filesystem::create_symlink(file("b"), file("d"));
  std::filesystem::create_symlink(file("gone"), file("e"));
  std::filesystem::create_symlink(file("f"), file("f"));
  std::string kinds;
  const auto entries = fs_.list(folder_.path());
  ASSERT_TRUE(entries);
  for (const FolderEntry& entry : *entries) {
    kinds += entry.is_folder ? 'f' : entry.is_file ? 'r' : '-';
    if (entry.is_link) kinds += '>';
  }
  EXPECT_EQ(kinds, "rfr>f>->->");
  kernel.stat_errno = EIO;
  EXPECT_TRUE(fails_with(Code::kFailed, fs_.list(folder_.path()))) << "it may lead to a file";
}

TEST_F(PosixFsTest, AMarkOfLifeStaysWhenItsFileIsRead) {
  ASSERT_TRUE(succeeds(write("lease", as_bytes("x"))));
  auto mark = fs_.mark_alive(file("lease"));
  ASSERT_TRUE(succeeds(mark));
  for (int round = 0; round < 3; ++round) {
    const auto one = fs_.open(file("lease"), OpenMode::kRead);
    ASSERT_TRUE(succeeds(one));
    EXPECT_EQ(*read_file(fs_, file("lease"), kMiB), Bytes{'x'});
    EXPECT_EQ(OtherProcess(kTry, file("lease")).hear(), 'h') << "closing it would unlock it";
  }
  mark->reset();
  EXPECT_EQ(OtherProcess(kTry, file("lease")).hear(), 'f');
  EXPECT_EQ(*read_file(fs_, file("lease"), kMiB), Bytes{'x'});
}

TEST_F(PosixFsTest, AMarkOfLifeIsSeenHereAndElsewhere) {
  ASSERT_TRUE(succeeds(write("lease", as_bytes("x"))));
  EXPECT_FALSE(*fs_.is_marked_alive(file("lease")));
  EXPECT_EQ(OtherProcess(kTry, file("lease")).hear(), 'f');
  auto mark = fs_.mark_alive(file("lease"));
  ASSERT_TRUE(succeeds(mark));
  EXPECT_TRUE(*fs_.is_marked_alive(file("lease")));
  EXPECT_TRUE(*fs_.is_marked_alive(file("lease"))) << "looking must not give it back";
  EXPECT_EQ(OtherProcess(kTry, file("lease")).hear(), 'h');
  EXPECT_TRUE(*fs_.is_marked_here(file("lease")));
  ASSERT_TRUE(fs_.rename(file("lease"), file("moved")));
  EXPECT_FALSE(*fs_.is_marked_here(file("lease"))) << "it is gone";
  ASSERT_TRUE(succeeds(write("lease", as_bytes("x"))));
  EXPECT_FALSE(*fs_.is_marked_here(file("lease"))) << "another file";
  EXPECT_TRUE(*fs_.is_marked_here(file("moved")));
  ASSERT_TRUE(fs_.rename(file("moved"), file("lease")));
  mark->reset();
  EXPECT_FALSE(*fs_.is_marked_alive(file("lease")));
  EXPECT_EQ(OtherProcess(kTry, file("lease")).hear(), 'f');
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.mark_alive(file("no"))));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.is_marked_alive(file("no"))));
}

TEST_F(PosixFsTest, AMarkEndsWithItsProcess) {
  ASSERT_TRUE(succeeds(write("lease", as_bytes("x"))));
  OtherProcess other(kMark, file("lease"));
  ASSERT_EQ(other.hear(), 'm');
  EXPECT_TRUE(*fs_.is_marked_alive(file("lease")));
  EXPECT_FALSE(*fs_.is_marked_here(file("lease")));
  EXPECT_FALSE(fs_.mark_alive(file("lease")));
  other.end();
  EXPECT_FALSE(*fs_.is_marked_alive(file("lease")));
}

}  // namespace
}  // namespace cairn
