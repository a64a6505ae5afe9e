// What a commit does to the root, and what it refuses; the entries refer to nothing here.
#include "store/commit.h"

#include <gtest/gtest.h>

#include "store/root.h"
#include "tests/support/bare_lease.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Commit : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(posix_fs(), path());
  }
  std::string path() const { return folder_ / "store"; }

  static TagEntry entry(const std::string& name, uint8_t manifest = 1) {
    TagEntry entry;
    entry.name = name;
    entry.session = *SessionId::fresh();
    entry.manifest.digest.bytes[0] = manifest;
    return entry;
  }
  Result<CommitResult> commit(const TagEntry& wanted, IfExists if_exists = IfExists::kError,
                              const std::vector<FileId>& reused = {}) {
    failure_ = {};
    const BareLease lease(path(), wanted.session);
    return commit_tag(*store_, wanted, if_exists, reused, 0ms, failure_);
  }
  void edit_root(const std::function<void(Root&)>& edit) {
    bool may_be_visible = false;
    ASSERT_TRUE(change_root(
        posix_fs(), path(), *SessionId::fresh(), 0ms,
        [&](Root& root) -> Result<RootChange> {
          edit(root);
          return RootChange::kReplace;
        },
        may_be_visible));
  }
  Root root() const { return *read_root(posix_fs(), path()); }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
  CommitFailure failure_;
};

TEST_F(Commit, TagsAreNumberedInOrder) {
  ASSERT_TRUE(commit(entry("b")));
  ASSERT_TRUE(commit(entry("a")));
  const TagList tags = *store_->read_tags();
  ASSERT_EQ(tags.tags.size(), 2u);
  EXPECT_EQ(tags.tags[0].name, "a") << "in name order";
  TagBook book = *store_->read_book();
  EXPECT_EQ((*book.newest(""))->name, "a") << "by commit";
  EXPECT_EQ((*book.newest("b"))->name, "b");
  EXPECT_EQ(*book.newest("c"), nullptr);
  EXPECT_LT(tags.find("b")->commit, tags.find("a")->commit);
}

TEST_F(Commit, ANameIsTakenOnce) {
  const TagEntry first = entry("t", 1);
  ASSERT_TRUE(commit(first));
  EXPECT_EQ(commit(entry("t", 2)).error().code, Code::kExists);
  EXPECT_EQ(commit(entry("t", 2), IfExists::kSame).error().code, Code::kExists);
  const auto same = commit(entry("t", 1), IfExists::kSame);
  ASSERT_TRUE(same);
  EXPECT_TRUE(same->already);
  EXPECT_EQ(same->entry.session, first.session) << "the standing one";
}

TEST_F(Commit, RepeatingACommitIsSuccess) {
  const TagEntry once = entry("t");
  ASSERT_TRUE(commit(once));
  const uint64_t number = root().commit;
  const auto again = commit(once);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->already);
  EXPECT_EQ(root().commit, number) << "nothing was changed";
}

TEST_F(Commit, ReplacingKeepsThePin) {
  ASSERT_TRUE(commit(entry("t", 1)));
  edit_root([](Root& root) { root.entries[0].pinned = true; });
  const auto replaced = commit(entry("t", 2), IfExists::kReplace);
  ASSERT_TRUE(replaced);
  EXPECT_TRUE(replaced->entry.pinned);
  EXPECT_EQ(store_->find_tag("t")->manifest.digest.bytes[0], 2);
  EXPECT_EQ(store_->read_tags()->tags.size(), 1u);
}

TEST_F(Commit, ARevokedSessionIsRefused) {
  const TagEntry dead = entry("t");
  edit_root([&](Root& root) { root.revoked.push_back(dead.session); });
  EXPECT_EQ(commit(dead).error().code, Code::kBusy);
  EXPECT_TRUE(store_->read_tags()->tags.empty());
  EXPECT_TRUE(commit(entry("t")));
}

TEST_F(Commit, ASessionThatLostItsLeaseIsRefused) {
  TagEntry lost = entry("t");
  const auto session = *Session::begin(posix_fs(), path(), "t", std::nullopt);
  lost.session = session->id();
  // As a collector on another host of the same name does it, which sees no locks of this one.
  ASSERT_TRUE(posix_fs().remove(lease_path(path(), lost.session)));
  EXPECT_EQ(commit_tag(*store_, lost, IfExists::kError, {}, 0ms, failure_).error().code,
            Code::kBusy);
  EXPECT_FALSE(failure_.may_be_visible);
  EXPECT_TRUE(store_->read_tags()->tags.empty());
  ASSERT_TRUE(commit(lost));
  EXPECT_TRUE(commit_tag(*store_, lost, IfExists::kError, {}, 0ms, failure_)->already)
      << "what stands already needs no lease";
}

TEST_F(Commit, AFileInPlaceOfTheLeaseIsNotTheLease) {
  TagEntry lost = entry("t");
  const auto session = *Session::begin(posix_fs(), path(), "t", std::nullopt);
  lost.session = session->id();
  // Out of a backup, say: between the two, collectors saw none.
  const std::string lease = lease_path(path(), lost.session);
  const Bytes same = *read_file(posix_fs(), lease, kMiB);
  ASSERT_TRUE(write_new_file(posix_fs(), path() + "/copy", same));
  ASSERT_TRUE(posix_fs().rename(path() + "/copy", lease));
  const auto refused = commit_tag(*store_, lost, IfExists::kError, {}, 0ms, failure_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  EXPECT_FALSE(failure_.may_be_visible);
  EXPECT_TRUE(store_->read_tags()->tags.empty());
}

TEST_F(Commit, ReusedPacksMustBeThere) {
  const FileId pack{*SessionId::fresh(), 0};
  EXPECT_EQ(commit(entry("t"), IfExists::kError, {pack}).error().code, Code::kBusy);
  EXPECT_TRUE(failure_.lost_reused);
  const std::string file = join_path(path(), relative_path(FileKind::kPack, pack));
  ASSERT_TRUE(posix_fs().make_folders(parent_folder(file)));
  ASSERT_TRUE(write_new_file(posix_fs(), file, {}));
  edit_root([&](Root& root) { root.condemned.push_back({FileKind::kPack, pack, 1}); });
  EXPECT_EQ(commit(entry("t"), IfExists::kError, {pack}).error().code, Code::kBusy);
  EXPECT_TRUE(failure_.lost_reused) << "condemned";
  edit_root([](Root& root) { root.condemned.clear(); });
  ASSERT_TRUE(commit(entry("t"), IfExists::kError, {pack}));
  EXPECT_FALSE(failure_.lost_reused);
}

TEST_F(Commit, ManyTagsMoveToATable) {
  for (int i = 0; i < 265; ++i) ASSERT_TRUE(commit(entry("t/" + std::to_string(i))));
  const Root now = root();
  EXPECT_EQ(now.tables.size(), 2u) << "of about the same size";
  EXPECT_LT(now.entries.size(), 10u);
  ASSERT_TRUE(commit(entry("t/3", 9), IfExists::kReplace)) << "an entry overrides the table's";
  const TagList tags = *store_->read_tags();
  EXPECT_EQ(tags.tags.size(), 265u);
  EXPECT_EQ(tags.find("t/3")->manifest.digest.bytes[0], 9);
  EXPECT_EQ(commit(entry("t/5")).error().code, Code::kExists) << "the table counts";
}

TEST_F(Commit, ForksAreTagsOfTheirOwn) {
  ASSERT_TRUE(commit(entry("a", 7)));
  const auto fork = fork_tag(*store_, "b", "a", 0ms);
  ASSERT_TRUE(fork);
  EXPECT_EQ(store_->find_tag("b")->manifest.digest.bytes[0], 7);
  EXPECT_GT(store_->find_tag("b")->commit, store_->find_tag("a")->commit);
  EXPECT_TRUE(fork_tag(*store_, "b", "a", 0ms)) << "it has the name already";
  ASSERT_TRUE(commit(entry("d", 8)));
  EXPECT_EQ(fork_tag(*store_, "b", "d", 0ms).error().code, Code::kExists);
  EXPECT_EQ(fork_tag(*store_, "../x", "a", 0ms).error().code, Code::kUsage);
  EXPECT_EQ(fork_tag(*store_, "c", "x", 0ms).error().code, Code::kNotFound);
}

TEST_F(Commit, AFaultAnywhereLeavesTheOldRootOrTheNew) {
  for (size_t fail_at = 0;; ++fail_at) {
    const std::string name = "t" + std::to_string(fail_at);
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    const auto store = Store::open(posix_fs(), path());
    bool may_be_visible = false;
    const Status changed = change_root(
        faults, path(), *SessionId::fresh(), 0ms,
        [&](Root& root) -> Result<RootChange> {
          root.entries.push_back(entry(name));
          return RootChange::kReplace;
        },
        may_be_visible);
    const bool visible = store_->find_tag(name).has_value();
    if (faults.calls <= fail_at) {
      EXPECT_TRUE(changed && visible);
      EXPECT_GT(fail_at, 4u);
      break;
    }
    EXPECT_FALSE(changed) << fail_at;
    EXPECT_TRUE(!visible || may_be_visible) << "files of a visible tag must not be removed";
    const auto listed = posix_fs().list(path());
    for (const FolderEntry& left : *listed) {
      EXPECT_FALSE(left.name.starts_with("root.")) << left.name << " after a fault at " << fail_at;
    }
  }
}

TEST_F(Commit, AHeldLockIsBusy) {
  const auto held = posix_fs().lock(path() + "/lock", 0ms);
  ASSERT_TRUE(held);
  EXPECT_EQ(commit(entry("t")).error().code, Code::kBusy);
}

}  // namespace
}  // namespace cairn
