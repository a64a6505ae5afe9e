#include "store/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "store/probe.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

TEST(Store, IsMadeOnlyWhereNothingIs) {
  const TempFolder folder;
  ASSERT_TRUE(Store::init(posix_fs(), folder / "new", {}));
  EXPECT_EQ(Store::init(posix_fs(), folder / "new", {}).error().code, Code::kExists);
  ASSERT_TRUE(posix_fs().make_folders(folder / "empty"));
  EXPECT_TRUE(Store::init(posix_fs(), folder / "empty", {}));
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "file", {}));
  const Status on_file = Store::init(posix_fs(), folder / "file", {});
  ASSERT_FALSE(on_file);
  EXPECT_EQ(on_file.error().code, Code::kExists);
  EXPECT_NE(on_file.error().message.find("is a file"), std::string::npos);
  EXPECT_EQ(Store::init(posix_fs(), folder.path(), {}).error().code, Code::kExists);
}

TEST(Store, IsMadeOnceByManyAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const TempFolder folder;
    const std::string path = folder / "s";
    std::vector<Code> failures(4);
    std::vector<std::thread> makers;
    std::atomic<int> made = 0;
    for (Code& failure : failures) {
      makers.emplace_back([&] {
        const Status status = Store::init(posix_fs(), path, {});
        made += status.has_value() ? 1 : 0;
        failure = status ? Code::kExists : status.error().code;
      });
    }
    for (std::thread& maker : makers) maker.join();
    EXPECT_EQ(made, 1);
    for (const Code failure : failures) EXPECT_EQ(failure, Code::kExists);
    const auto store = Store::open(posix_fs(), path);
    ASSERT_TRUE(store);
    EXPECT_TRUE((*store)->read_tags()->tags.empty());
  }
}

/// The file system as it is, for tests that change one call of it.
class PassingFs : public Fs {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return posix_fs().open(path, mode);
  }
  Status rename_new(const std::string& a, const std::string& b) override {
    return posix_fs().rename_new(a, b);
  }
  Status rename(const std::string& a, const std::string& b) override {
    return posix_fs().rename(a, b);
  }
  Status remove(const std::string& path) override { return posix_fs().remove(path); }
  Status make_folders(const std::string& path) override { return posix_fs().make_folders(path); }
  Status sync_folder(const std::string& path) override { return posix_fs().sync_folder(path); }
  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    return posix_fs().list(path);
  }
  Result<FileInfo> info(const std::string& path) override { return posix_fs().info(path); }
  Status touch(const std::string& path) override { return posix_fs().touch(path); }
  Result<uint64_t> free_bytes(const std::string& path) override {
    return posix_fs().free_bytes(path);
  }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path, const Wait& wait) override {
    return posix_fs().lock(path, wait);
  }
  Result<std::unique_ptr<FileLock>> mark_alive(const std::string& path) override {
    return posix_fs().mark_alive(path);
  }
  Result<bool> is_marked_alive(const std::string& path) override {
    return posix_fs().is_marked_alive(path);
  }
  Result<bool> is_marked_here(const std::string& path) override {
    return posix_fs().is_marked_here(path);
  }
};

/// Another process makes each folder just after it was seen to be missing.
class RacingFs final : public PassingFs {
 public:
  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    auto listed = posix_fs().list(path);
    if (!listed) EXPECT_TRUE(posix_fs().make_folders(path));
    return listed;
  }
};

TEST(Store, IsMadeWhereTheFolderHasJustAppeared) {
  const TempFolder folder;
  RacingFs racing;
  EXPECT_TRUE(Store::init(racing, folder / "s", {}));
}

TEST(Store, IsNotMadeOfWhatAnotherLeft) {
  const TempFolder folder;
  const std::string path = folder / "s";
  ASSERT_TRUE(posix_fs().make_folders(join_path(path, "packs")));
  EXPECT_EQ(Store::init(posix_fs(), path, {}).error().code, Code::kExists);
  EXPECT_TRUE(file_exists(posix_fs(), join_path(path, "packs")));
  ASSERT_TRUE(posix_fs().remove(join_path(path, "packs")));
  EXPECT_TRUE(Store::init(posix_fs(), path, {})) << "a lock alone is nothing";
}

TEST(Store, IsThereWholeOrNotAtAll) {
  for (size_t fail_at = 0;; ++fail_at) {
    const TempFolder folder;
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    faults.for_ever = true;
    const Status made = Store::init(faults, folder / "s", {});
    if (faults.calls <= fail_at) {
      EXPECT_TRUE(made);
      break;
    }
    EXPECT_FALSE(made) << fail_at;
    const auto store = Store::open(posix_fs(), folder / "s");
    if (store) {
      EXPECT_TRUE((*store)->read_tags()->tags.empty()) << fail_at;
    } else {
      EXPECT_EQ(store.error().code, Code::kNoStore) << store.error().message;
    }
  }
}

TEST(Store, RootAndConfigBelongTogether) {
  const TempFolder folder;
  ASSERT_TRUE(Store::init(posix_fs(), folder / "a", {}));
  ASSERT_TRUE(Store::init(posix_fs(), folder / "b", {}));
  const Bytes root = *read_file(posix_fs(), folder / "b/root", kMiB);
  ASSERT_TRUE(posix_fs().remove(folder / "a/root"));
  ASSERT_TRUE(write_new_file(posix_fs(), folder / "a/root", root));
  const auto store = Store::open(posix_fs(), folder / "a");
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->read_tags().error().code, Code::kCorrupt);
  ASSERT_TRUE(posix_fs().remove(folder / "a/root"));
  EXPECT_EQ((*store)->read_tags().error().code, Code::kCorrupt) << "a missing root is damage";
}

TEST(Store, BoundsOfTheConfigAreKept) {
  const TempFolder folder;
  for (const uint64_t elements : {uint64_t{512}, uint64_t{1000}, uint64_t{1} << 25}) {
    Config config;
    config.chunk_elements = elements;
    EXPECT_EQ(Store::init(posix_fs(), folder / "s", config).error().code, Code::kUsage);
  }
  EXPECT_TRUE(posix_fs().list(folder.path())->empty()) << "refused before anything is made";
}

/// A file system whose locks let everyone in.
class LooseFs final : public PassingFs {
 public:
  Result<std::unique_ptr<FileLock>> lock(const std::string&, const Wait&) override {
    return std::make_unique<FileLock>();
  }
};

TEST(Probe, AFileSystemWithoutLocksIsRefused) {
  const TempFolder folder;
  EXPECT_TRUE(probe_file_system(posix_fs(), folder.path()));
  LooseFs loose;
  const Status probed = probe_file_system(loose, folder.path());
  ASSERT_FALSE(probed);
  EXPECT_NE(probed.error().message.find("keep a second locker out"), std::string::npos);
  EXPECT_TRUE(posix_fs().list(folder.path())->empty()) << "it cleans up";
}

}  // namespace
}  // namespace cairn
