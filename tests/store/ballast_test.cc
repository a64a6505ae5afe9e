// What is given up for a root on a full disk, and in which order. Real full disks are
// tests/crash/bad_luck_test.py's.
#include "store/ballast.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/fault_fs.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

class Ballast : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(faults_, path());
    ASSERT_TRUE(posix_fs().make_folders(path() + "/index"));
    for (const char* name : {"000007.sst", "CURRENT", "LOCK"}) {
      ASSERT_TRUE(write_new_file(posix_fs(), path() + "/index/" + name, as_bytes("x")));
    }
  }
  std::string path() const { return folder_ / "store"; }
  bool has_ballast() const { return file_exists(posix_fs(), path() + "/ballast"); }
  size_t index_files() const {
    const auto files = posix_fs().list(path() + "/index");
    return files ? files->size() : 0;
  }

  /// Finds room at the `tries`-th try.
  Status change(int tries) {
    tries_ = 0;
    return with_ballast(*store_, [&]() -> Status {
      if (++tries_ == tries) return {};
      return fail(Code::kNoSpace, "the disk is full");
    });
  }

  TempFolder folder_;
  FaultFs faults_{posix_fs()};
  std::unique_ptr<Store> store_;
  int tries_ = 0;
};

TEST_F(Ballast, NothingIsGivenUpWhereThereIsRoom) {
  EXPECT_TRUE(succeeds(change(1)));
  EXPECT_TRUE(has_ballast());
  EXPECT_EQ(index_files(), 3u);
}

TEST_F(Ballast, TheBallastGoesFirstAndComesBackWhereItCan) {
  EXPECT_TRUE(succeeds(change(2)));
  EXPECT_EQ(index_files(), 3u);
  EXPECT_TRUE(has_ballast()) << "there is room for it again";
  faults_.fail_next(FsCall::kWrite, "ballast", Code::kNoSpace);
  EXPECT_TRUE(succeeds(change(2)));
  EXPECT_FALSE(has_ballast());
}

TEST_F(Ballast, TheIndexIsTheSecondReserve) {
  EXPECT_TRUE(succeeds(change(3)));
  EXPECT_EQ(tries_, 3);
  EXPECT_EQ(index_files(), 0u);
  EXPECT_TRUE(fails_with(Code::kNoSpace, change(3))) << "there is nothing more";
  EXPECT_EQ(tries_, 2);
}

TEST_F(Ballast, AnIndexInUseOrElsewhereStays) {
  {
    const auto writer = posix_fs().mark_alive(path() + "/index/LOCK");
    EXPECT_TRUE(fails_with(Code::kNoSpace, change(3)));
    EXPECT_EQ(index_files(), 3u);
  }
  std::filesystem::rename(path() + "/index", folder_ / "elsewhere");
  std::filesystem::create_directory_symlink(folder_ / "elsewhere", path() + "/index");
  EXPECT_TRUE(fails_with(Code::kNoSpace, change(3)));
  EXPECT_EQ(index_files(), 3u);
}

TEST_F(Ballast, OtherErrorsCostNothing) {
  EXPECT_TRUE(fails_with(Code::kBusy, with_ballast(*store_, []() -> Status {
                           return fail(Code::kBusy, "someone holds the lock");
                         })));
  EXPECT_TRUE(has_ballast());
}

}  // namespace
}  // namespace cairn
