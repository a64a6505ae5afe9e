#include "store/distrust.h"

#include <gtest/gtest.h>

#include "store/commit.h"
#include "tests/support/bare_lease.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Distrust : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(posix_fs(), path());
  }
  std::string path() const { return folder_.path() + "/s"; }

  /// A file in the pack's place, with nothing in it.
  FileId make_pack() const {
    const FileId pack{*SessionId::fresh(), 0};
    const std::string file = join_path(path(), relative_path(FileKind::kPack, pack));
    EXPECT_TRUE(posix_fs().make_folders(parent_folder(file)));
    EXPECT_TRUE(write_new_file(posix_fs(), file, {}));
    return pack;
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

using Packs = std::set<FileId>;

TEST_F(Distrust, LastsAsLongAsThePack) {
  EXPECT_EQ(*distrusted_packs(*store_), Packs());
  const FileId a = make_pack(), b = make_pack();
  ASSERT_TRUE(distrust_packs(*store_, {a}));
  ASSERT_TRUE(distrust_packs(*store_, {a, b})) << "once more";
  EXPECT_EQ(*distrusted_packs(*store_), Packs({a, b}));
  ASSERT_TRUE(posix_fs().remove(join_path(path(), relative_path(FileKind::kPack, a))));
  ASSERT_TRUE(forget_distrust(*store_));
  EXPECT_EQ(*distrusted_packs(*store_), Packs({b}));
}

TEST_F(Distrust, ACommitTakesNothingOverFromSuchAPack) {
  const FileId pack = make_pack();
  TagEntry entry;
  entry.name = "t";
  entry.session = *SessionId::fresh();
  const BareLease lease(path(), entry.session);
  CommitFailure failure;
  ASSERT_TRUE(distrust_packs(*store_, {pack}));
  const auto refused = commit_tag(*store_, entry, IfExists::kError, {pack}, 0ms, failure);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  EXPECT_TRUE(failure.lost_reused) << "the save runs once more, without look-ups";
  EXPECT_TRUE(commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure));
}

TEST_F(Distrust, MarksAreDurableBeforeItReturns) {
  FaultFs faults(posix_fs());
  const auto store = *Store::open(faults, path());
  ASSERT_TRUE(distrust_packs(*store, {make_pack()}));
  EXPECT_EQ(faults.count(FsCall::kSync, "set-aside/packs/"), 1u);
  EXPECT_EQ(faults.changes.back().call, FsCall::kSyncFolder);
  EXPECT_TRUE(faults.changes.back().path.ends_with("set-aside/packs"));
}

}  // namespace
}  // namespace cairn
