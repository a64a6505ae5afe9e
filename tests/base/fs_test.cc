#include "base/fs.h"

#include <gtest/gtest.h>

#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

std::string content(const std::string& path) {
  const auto bytes = read_file(posix_fs(), path, kMiB);
  return bytes ? std::string(as_text(*bytes))
               : "(" + std::string(code_name(bytes.error().code)) + ")";
}

TEST(Fs, PathsAreJoinedAndSplit) {
  for (const auto& [path, parent] : {std::pair{"a/b", "a"},
                                     {"/a", "/"},
                                     {"a", "."},
                                     {"a/b/", "a"},
                                     {"/", "."},
                                     {"//a//b", "//a"}}) {
    EXPECT_EQ(parent_folder(path), parent) << path;
  }
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
}

TEST(Fs, ErrorsSayWhatTheCallerCanDo) {
  const TempFolder folder;
  EXPECT_EQ(posix_fs().open(folder / "no", OpenMode::kRead).error().code, Code::kNotFound);
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "a", bytes_of("x")));
  EXPECT_EQ(posix_fs().open(folder / "a", OpenMode::kCreate).error().code, Code::kExists);
  EXPECT_EQ(posix_fs().open(folder / "a", OpenMode::kCreateDirect).error().code, Code::kExists);
  EXPECT_EQ(read_file(posix_fs(), folder / "a", 0).error().code, Code::kCorrupt);
  EXPECT_EQ(posix_fs().remove(folder / "no").error().code, Code::kNotFound);
  EXPECT_NE(posix_fs().list(folder / "no").error().message.find("no'"), std::string::npos);
}

TEST(Fs, FoldersAreMadeAndListedInOrder) {
  const TempFolder folder;
  ASSERT_TRUE(posix_fs().make_folders(folder / "x/y/z"));
  ASSERT_TRUE(posix_fs().make_folders(folder / "x/y/z")) << "there already";
  for (const char* name : {"b", "a", "c"}) {
    ASSERT_TRUE(write_new_file(posix_fs(), folder / "x" + ("/" + std::string(name)), {}));
  }
  const auto entries = posix_fs().list(folder / "x");
  ASSERT_TRUE(entries);
  std::string names;
  for (const FolderEntry& entry : *entries) names += entry.name + (entry.is_folder ? "/" : "");
  EXPECT_EQ(names, "abcy/");
}

TEST(Fs, AReplacedFileIsTheOldOneOrTheNewWhateverFails) {
  for (size_t fail_at = 0;; ++fail_at) {
    const TempFolder folder;
    ASSERT_TRUE(write_new_file(posix_fs(), folder / "f", bytes_of("old")));
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    const Status replaced = replace_file(faults, folder / "f", folder / "f.new", bytes_of("new"));
    const std::string now = content(folder / "f");
    EXPECT_TRUE(now == "old" || now == "new") << now;
    EXPECT_TRUE(!replaced || now == "new");
    if (faults.calls <= fail_at) {
      EXPECT_TRUE(replaced);
      EXPECT_GT(fail_at, 3u) << "it opens, writes, syncs, renames and syncs the folder";
      break;
    }
    EXPECT_FALSE(replaced) << "a fault at call " << fail_at << " was swallowed";
  }
}

TEST(Fs, AFileThatFailedFailsForGood) {
  // A read-only descriptor cannot be written: the first write fails, and so does all that follows.
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "f", bytes_of("x")));
  const auto file = *posix_fs().open(folder / "f", OpenMode::kRead);
  EXPECT_FALSE(file->write_at(0, bytes_of("y")));
  const Status synced = file->sync();
  ASSERT_FALSE(synced);
  EXPECT_NE(synced.error().message.find("failed before"), std::string::npos);
  EXPECT_FALSE(file->truncate(0));
  EXPECT_EQ(content(folder / "f"), "x");
}

TEST(Fs, ReadsStopWhereTheFileEnds) {
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "f", bytes_of("hello")));
  const auto file = *posix_fs().open(folder / "f", OpenMode::kRead);
  Bytes room(4);
  EXPECT_EQ(*file->read_at(3, room), 2u);
  EXPECT_EQ(*file->read_at(9, room), 0u);
  EXPECT_FALSE(file->read_cached_at(3, room)) << "less than asked is not all";
  EXPECT_TRUE(!file->read_cached_at(1, room) || as_text(room) == "ello");
}

TEST(Fs, LocksExcludeEachOtherInOneProcessToo) {
  using namespace std::chrono_literals;
  const TempFolder folder;
  auto first = posix_fs().lock(folder / "lock", 0ms);
  ASSERT_TRUE(first);
  EXPECT_EQ(posix_fs().lock(folder / "lock", 5ms).error().code, Code::kBusy);
  first->reset();
  EXPECT_TRUE(posix_fs().lock(folder / "lock", 0ms));
}

TEST(Fs, AliveMarksAreSeenUntilGivenBack) {
  const TempFolder folder;
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "lease", {}));
  EXPECT_FALSE(*posix_fs().is_marked_alive(folder / "lease"));
  auto mark = posix_fs().mark_alive(folder / "lease");
  ASSERT_TRUE(mark);
  EXPECT_TRUE(*posix_fs().is_marked_alive(folder / "lease"));
  EXPECT_TRUE(*posix_fs().is_marked_alive(folder / "lease")) << "looking does not drop it";
  mark->reset();
  EXPECT_FALSE(*posix_fs().is_marked_alive(folder / "lease"));
}

}  // namespace
}  // namespace cairn
