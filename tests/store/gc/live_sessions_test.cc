// Who lives, and what a collection leaves to him.
#include "store/gc/live_sessions.h"

#include "store/commit.h"
#include "tests/store/gc/collect_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class LiveSessions : public CollectFixture {};

TEST_F(LiveSessions, LeftoversOfDeadSessionsGo) {
  save_tag("a", 2);
  const SessionId dead = *SessionId::fresh();
  Lease lease;
  lease.owner = {this_process().host, 1 << 30, 7};
  const std::string lease_path = path() + "/sessions/" + dead.hex();
  ASSERT_TRUE(write_new_file(posix_fs(), lease_path, as_bytes(encode_lease(lease))));
  for (const FileKind kind : {FileKind::kPack, FileKind::kMeta}) {
    const std::string file = join_path(path(), relative_path(kind, {dead, 0}));
    ASSERT_TRUE(posix_fs().make_folders(parent_folder(file)));
    ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes("half a pack")));
  }
  ASSERT_TRUE(write_new_file(posix_fs(), path() + "/root." + dead.hex(), as_bytes("half a root")));
  const GcReport report = collect_as_planned();
  EXPECT_EQ(report.freed_bytes, 22);
  EXPECT_FALSE(file_exists(posix_fs(), lease_path));
  EXPECT_FALSE(file_exists(posix_fs(), path() + "/root." + dead.hex()));
  expect_whole();
}

TEST_F(LiveSessions, ALiveSessionsFilesAndBaseStay) {
  save_tag("a", 2);
  const TagEntry a = *store_->find_tag("a");
  auto checkpoint = open_tag(*store_, "a");
  LeasedBase base{"a", a.manifest, a.schema, a.table, a.layout, {}};
  for (const PackUse& use : (*checkpoint)->table().packs) base.packs.push_back(use.pack);
  auto session = *Session::begin(posix_fs(), path(), "b", base);
  const std::string own = join_path(path(), relative_path(FileKind::kPack, {session->id(), 0}));
  ASSERT_TRUE(posix_fs().make_folders(parent_folder(own)));
  ASSERT_TRUE(write_new_file(posix_fs(), own, as_bytes("growing")));
  forget({"a"});
  EXPECT_EQ(collect_as_planned().freed_bytes, 0);
  EXPECT_TRUE(file_exists(posix_fs(), own));
  ASSERT_TRUE(session->end());
  collect_as_planned();
  EXPECT_EQ(bytes_on_disk(), 0u);
}

TEST_F(LiveSessions, ASilentSessionOfAnotherHostIsRevoked) {
  save_tag("a", 2);
  const SessionId other = *SessionId::fresh();
  const std::string lease = path() + "/sessions/" + other.hex();
  // Unreadable, and old by the file system's clock: nobody can tell whose it was.
  ASSERT_TRUE(write_new_file(posix_fs(), lease, as_bytes("half a lea")));
  std::filesystem::last_write_time(lease, std::filesystem::last_write_time(lease) - 2min);
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_FALSE(file_exists(posix_fs(), lease));
  TagEntry entry = *store_->find_tag("a");
  entry.session = other;
  entry.name = "b";
  CommitFailure failure;
  EXPECT_EQ(commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure).error().code,
            Code::kBusy);
}

TEST_F(LiveSessions, ARevocationStaysAsLongAsTheLease) {
  save_tag("a", 2);
  const SessionId other = *SessionId::fresh();
  const std::string lease = lease_path(path(), other);
  ASSERT_TRUE(write_new_file(posix_fs(), lease, as_bytes("half a lea")));
  std::filesystem::last_write_time(lease, std::filesystem::last_write_time(lease) - 2h);
  FaultFs faults(posix_fs());
  faults.fail_next(FsCall::kRemove, other.hex());
  const auto report = collect(**Store::open(faults, path()), {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->failures.size(), 1u) << "another user's, say";
  EXPECT_EQ(read_root(posix_fs(), path())->revoked, std::vector<SessionId>{other});
  TagEntry entry = *store_->find_tag("a");
  entry.session = other;
  entry.name = "b";
  CommitFailure failure;
  EXPECT_EQ(commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure).error().code,
            Code::kBusy)
      << "its lease is still there";
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_FALSE(file_exists(posix_fs(), lease));
  EXPECT_TRUE(read_root(posix_fs(), path())->revoked.empty());
  EXPECT_EQ(commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure).error().code,
            Code::kBusy)
      << "it slept through both";
}

TEST_F(LiveSessions, ALeaseThatIsDamagedAndRenewedStopsIt) {
  save_tag("a", 2);
  const TagEntry a = *store_->find_tag("a");
  LeasedBase base{"a", a.manifest, a.schema, a.table, a.layout, {{a.session, 0}}};
  auto session = *Session::begin(posix_fs(), path(), "b", base);
  // Another file in the lease's place: the mark of its process is not on it.
  ASSERT_TRUE(write_new_file(posix_fs(), path() + "/broken", as_bytes("half a lea")));
  const std::string lease = lease_path(path(), session->id());
  ASSERT_TRUE(posix_fs().rename(path() + "/broken", lease));
  forget({"a"});
  const uint64_t before = bytes_on_disk();
  for (const bool is_dry : {true, false}) {
    const auto report = is_dry ? plan_collection(*store_, {}) : collect(*store_, {});
    ASSERT_TRUE(fails_with(Code::kCorrupt, report));
    EXPECT_NE(report.error().message.find(lease), std::string::npos) << report.error().message;
    EXPECT_NE(report.error().hint.find("60 s"), std::string::npos) << report.error().hint;
  }
  EXPECT_EQ(bytes_on_disk(), before) << "the session counts on the base";
  ASSERT_TRUE(session->end());
  EXPECT_EQ(collect_as_planned().packs_deleted, 1u);
}

TEST_F(LiveSessions, WhatHasALeasesNameAndIsNoFileStopsIt) {
  save_tag("a", 2);
  forget({"a"});
  const uint64_t before = bytes_on_disk();
  const std::string lease = lease_path(path(), *SessionId::fresh());
  std::filesystem::create_symlink(path() + "/nowhere", lease);
  EXPECT_TRUE(fails_with(Code::kCorrupt, collect(*store_, {})));
  EXPECT_EQ(bytes_on_disk(), before);
  ASSERT_TRUE(posix_fs().remove(lease));
  EXPECT_EQ(collect_as_planned().packs_deleted, 1u);
}

TEST_F(LiveSessions, AProcessWhoseStartIsHiddenLivesUntilItIsSilent) {
  Lease lease;
  lease.owner = this_process();
  lease.owner.start = 0;  // as where it could not look into /proc
  const SessionId other = *SessionId::fresh();
  const std::string file = lease_path(path(), other);
  ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes(encode_lease(lease))));
  const std::string pack = join_path(path(), relative_path(FileKind::kPack, {other, 0}));
  ASSERT_TRUE(posix_fs().make_folders(parent_folder(pack)));
  ASSERT_TRUE(write_new_file(posix_fs(), pack, as_bytes("growing")));
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_TRUE(file_exists(posix_fs(), pack));
  std::filesystem::last_write_time(file, std::filesystem::last_write_time(file) - 11min);
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_FALSE(file_exists(posix_fs(), pack));
  EXPECT_FALSE(file_exists(posix_fs(), file));
}

TEST_F(LiveSessions, WithoutAFolderOfLeasesThereAreNone) {
  save_tag("a", 2);
  save_tag("b", 3);
  forget({"a"});
  bool may_be_visible = false;
  const auto revoke = [](Root& root) -> Result<RootChange> {
    root.revoked.push_back(*SessionId::fresh());
    return RootChange::kReplace;
  };
  ASSERT_TRUE(change_root(posix_fs(), path(), *SessionId::fresh(), 0ms, revoke, may_be_visible));
  ASSERT_TRUE(posix_fs().remove(path() + "/sessions"));
  EXPECT_EQ(collect_as_planned().packs_deleted, 1u);
  EXPECT_TRUE(read_root(posix_fs(), path())->revoked.empty());
  save_tag("c", 4);
  expect_whole();
}

TEST_F(LiveSessions, AnEndlessLeaseDoesNotStopItForEver) {
  const std::string lease = path() + "/sessions/" + SessionId::fresh()->hex();
  ASSERT_TRUE(write_new_file(posix_fs(), lease, as_bytes("{")));
  std::filesystem::resize_file(lease, uint64_t{1} << 40);
  EXPECT_TRUE(fails_with(Code::kCorrupt, collect(*store_, {})));
  EXPECT_TRUE(file_exists(posix_fs(), lease));
  std::filesystem::last_write_time(lease, std::filesystem::last_write_time(lease) - 2h);
  ASSERT_TRUE(collect(*store_, {}));
  EXPECT_FALSE(file_exists(posix_fs(), lease));
}

TEST_F(LiveSessions, ClocksThatJumpLoseNothing) {
  save_tag("a", 2);
  const TagEntry a = *store_->find_tag("a");
  // A saver on another host, whose base has been forgotten.
  Lease lease;
  lease.owner = {"elsewhere", 7, 7};
  lease.base = LeasedBase{"a", a.manifest, a.schema, a.table, a.layout, {{a.session, 0}}};
  const SessionId other = *SessionId::fresh();
  const std::string file = path() + "/sessions/" + other.hex();
  ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes(encode_lease(lease))));
  forget({"a"});
  const auto now = std::filesystem::last_write_time(file);
  for (const auto& jump : {-9min, 0min, 600min}) {
    std::filesystem::last_write_time(file, now + jump);
    EXPECT_EQ(collect_as_planned().packs_deleted, 0u) << jump.count();
  }
  // The server's clock went ahead: a session that lives is taken for dead, and told so.
  std::filesystem::last_write_time(file, now - 11min);
  EXPECT_EQ(collect(*store_, {})->packs_deleted, 1u);
  TagEntry entry = a;
  entry.session = other;
  CommitFailure failure;
  EXPECT_EQ(commit_tag(*store_, entry, IfExists::kError, {}, 0ms, failure).error().code,
            Code::kBusy);
}

}  // namespace
}  // namespace cairn
