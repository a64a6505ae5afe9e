// Collections where there are neither locks nor renames: a store's folder as a bucket has it.
#include "store/commit.h"
#include "store/gc/live_sessions.h"
#include "store/gc/reclaim.h"
#include "store/meta_pack.h"
#include "store/remote/directory_backend.h"
#include "store/remote/remote_fs.h"
#include "tests/store/gc/collect_fixture.h"
#include "tests/support/hooked_backend.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

constexpr char kRoot[] = "s3://bucket/prefix";

class BucketCollect : public CollectFixture {
 protected:
  void SetUp() override {
    CollectFixture::SetUp();
    bucket_ = *Store::open(fs_, kRoot);
  }

  GcReport collect_there() {
    GcRequest request;
    request.reclaim.reader_grace = 0s;
    const auto plan = plan_collection(*bucket_, request);
    EXPECT_TRUE(succeeds(plan));
    const auto report = collect(*bucket_, request);
    EXPECT_TRUE(succeeds(report));
    if (!plan || !report) return {};
    EXPECT_EQ(plan->freed_bytes, report->freed_bytes);
    EXPECT_EQ(report->failures, std::vector<std::string>());
    return *report;
  }

  std::string at(const std::string& name) const { return join_path(kRoot, name); }
  std::string pack_of(const SessionId& session) const {
    return at(relative_path(FileKind::kPack, {session, 0}));
  }

  /// As if it had been renewed for the last time before.
  void age_lease(const SessionId& session, std::chrono::minutes age) {
    const std::string lease = lease_path(path(), session);
    std::filesystem::last_write_time(lease, std::filesystem::last_write_time(lease) - age);
  }

  Status commit_as(const SessionId& session) {
    TagEntry entry = *store_->find_tag("a");
    entry.session = session;
    entry.name = "b";
    CommitFailure failure;
    const auto done = commit_tag(*bucket_, entry, IfExists::kError, {}, 0ms, failure);
    return done ? Status() : tl::unexpected(done.error());
  }

  size_t uploads() const { return backend_there()->list_uploads("packs/", "")->items.size(); }
  std::unique_ptr<remote::Backend> backend_there() const {
    return remote::open_directory_backend(posix_fs(), path(), nullptr);
  }

  remote::RemoteFs fs_{backend_there(), kRoot, 8};
  std::unique_ptr<Store> bucket_;
};

TEST_F(BucketCollect, WhatNobodyNeedsGoesAndHalfDeadPacksAreWrittenAnew) {
  save_tag("a", 2);
  save_tag("b", 3);
  const std::string half = save_pair(1);
  forget({"a", half});
  const uint64_t before = bytes_on_disk();
  const GcReport report = collect_there();
  EXPECT_EQ(report.freed_bytes, int64_t(before) - int64_t(bytes_on_disk()));
  EXPECT_GE(report.packs_deleted, 1u);
  EXPECT_GE(report.packs_rewritten, 1u);
  expect_whole();
}

TEST_F(BucketCollect, ALiveSessionsFilesAndBaseStay) {
  save_tag("a", 2);
  const TagEntry a = *store_->find_tag("a");
  LeasedBase base{"a", a.manifest, a.schema, a.table, a.layout, {}};
  auto checkpoint = open_tag(*store_, "a");
  for (const PackUse& use : (*checkpoint)->table().packs) base.packs.push_back(use.pack);
  auto session = Session::begin(fs_, kRoot, "b", base);
  ASSERT_TRUE(succeeds(session));
  ASSERT_TRUE(succeeds(write_new_file(fs_, pack_of((*session)->id()), as_bytes("growing"))));
  forget({"a"});
  EXPECT_EQ(collect_there().freed_bytes, 0);
  EXPECT_TRUE(file_exists(fs_, pack_of((*session)->id())));
  ASSERT_TRUE(succeeds((*session)->end()));
  EXPECT_FALSE(file_exists(posix_fs(), lease_path(path(), (*session)->id())));
  collect_there();
  EXPECT_EQ(bytes_on_disk(), 0u);
}

TEST_F(BucketCollect, ASessionWithItsLeaseCommits) {
  save_tag("a", 2);
  auto session = Session::begin(fs_, kRoot, "b", {});
  ASSERT_TRUE(succeeds(session));
  EXPECT_TRUE(succeeds(commit_as((*session)->id())));
}

TEST_F(BucketCollect, ALeaseThatIsGoneStaysAway) {
  save_tag("a", 2);
  auto session = *Session::begin(fs_, kRoot, "b", {});
  const std::string lease = lease_path(kRoot, session->id());
  ASSERT_TRUE(succeeds(fs_.remove(lease)));
  EXPECT_TRUE(fails_with(Code::kNotFound, fs_.touch(lease))) << "a heartbeat";
  EXPECT_FALSE(file_exists(fs_, lease));
  EXPECT_TRUE(fails_with(Code::kBusy, commit_as(session->id())));
}

TEST_F(BucketCollect, AnotherFileInItsPlaceIsNoLease) {
  save_tag("a", 2);
  auto session = *Session::begin(fs_, kRoot, "b", {});
  const std::string lease = lease_path(path(), session->id());
  ASSERT_TRUE(succeeds(posix_fs().remove(lease)));
  ASSERT_TRUE(succeeds(write_new_file(posix_fs(), lease, as_bytes("out of a backup"))));
  EXPECT_TRUE(fails_with(Code::kBusy, commit_as(session->id())));
}

TEST_F(BucketCollect, ASilentSessionOfAnotherHostIsRevoked) {
  save_tag("a", 2);
  for (const bool is_silent : {false, true}) {
    const SessionId other = *SessionId::fresh();
    Lease lease;
    lease.owner = {"another-host", 1, 7};
    ASSERT_TRUE(
        succeeds(write_new_file(fs_, lease_path(kRoot, other), as_bytes(encode_lease(lease)))));
    ASSERT_TRUE(succeeds(write_new_file(fs_, pack_of(other), as_bytes("a pack"))));
    age_lease(other, is_silent ? 11min : 9min);
    EXPECT_EQ(collect_there().freed_bytes, is_silent ? 6 : 0);
    EXPECT_EQ(file_exists(fs_, lease_path(kRoot, other)), !is_silent);
    EXPECT_TRUE(fails_with(Code::kBusy, commit_as(other)));
  }
  expect_whole();
}

TEST_F(BucketCollect, UploadsGoWithTheirSession) {
  save_tag("a", 2);
  auto alive = *Session::begin(fs_, kRoot, "b", {});
  const auto backend = backend_there();
  for (const SessionId& session : {alive->id(), *SessionId::fresh()}) {
    const std::string key = relative_path(FileKind::kPack, {session, 0});
    const auto upload = backend->begin_upload(key, kMiB);
    ASSERT_TRUE(succeeds(upload));
    ASSERT_TRUE(succeeds(backend->upload_part(key, *upload, 1, Bytes(1000))));
  }
  ASSERT_EQ(uploads(), 2u);
  collect_there();
  ASSERT_EQ(uploads(), 1u) << "of the session that lives";
  ASSERT_TRUE(succeeds(alive->end()));
  collect_there();
  EXPECT_EQ(uploads(), 0u);
}

TEST_F(BucketCollect, AnAnswerIsLostAndAnotherCommitsAtOnce) {
  save_tag("b", 3);
  for (size_t lost = 0; lost < 6; ++lost) {
    const std::string half = save_pair(static_cast<uint32_t>(lost));
    forget({half});
    size_t puts = 0;
    const auto hook = [&](const std::string& key, const remote::HookedBackend::Put& put) {
      if (key != "root" || puts++ != lost) return put();
      EXPECT_TRUE(put().has_value());
      name_again("b", fmt::format("again/{}", lost), 1);
      return remote::answer_lost();
    };
    remote::RemoteFs fs(std::make_unique<remote::HookedBackend>(backend_there(), hook), kRoot, 8);
    GcRequest request;
    request.reclaim.reader_grace = 0s;
    EXPECT_TRUE(succeeds(collect(**Store::open(fs, kRoot), request))) << lost;
    expect_whole();
    collect_there();
    expect_whole();
  }
}

TEST_F(BucketCollect, AnotherTakesWhatItIsAboutToMove) {
  save_tag("b", 3);
  const std::string half = save_pair(1);
  forget({half});
  bool met = false;
  const auto hook = [&](const std::string& key, const remote::HookedBackend::Put& put) {
    // Its plan is made, and its lease comes now.
    if (!met && key.starts_with("sessions/")) {
      met = true;
      collect_there();
    }
    return put();
  };
  remote::RemoteFs fs(std::make_unique<remote::HookedBackend>(backend_there(), hook), kRoot, 8);
  GcRequest request;
  request.reclaim.reader_grace = 0s;
  const auto report = collect(**Store::open(fs, kRoot), request);
  EXPECT_TRUE(met);
  EXPECT_TRUE(fails_with(Code::kBusy, report));
  expect_whole();
}

/// Two tags that have a locator of one digest, each in a metadata pack of its own: what two pushes
/// write that go on from the same leftovers.
class SharedLocators : public BucketCollect {
 protected:
  static constexpr uint64_t kMany = 2100 * 1024;  // elements; two such tensors have a page each

  void save_tensors(const std::string& tag, const std::string& base,
                    const std::map<std::string, const Bytes*>& tensors) {
    SaveRequest request;
    request.tag = tag;
    request.base = base;
    for (const auto& [name, data] : tensors) {
      for (auto& source : cut(name, {kMany}, *data, 0, 1, false)) request.tensors.push_back(source);
    }
    ASSERT_TRUE(succeeds(save(*store_, request)));
  }

  /// Another tag of the same copies, with all its metadata written anew.
  void write_anew(const std::string& name, const std::string& as) {
    TagEntry entry = *store_->find_tag(name);
    entry.name = as;
    entry.session = *SessionId::fresh();
    MetaWriter metas(posix_fs(), path(), entry.session);
    const auto copy = [&](Reference& object, ObjectKind kind) {
      object = *metas.add(kind, *read_object(store_->meta_files(), object));
    };
    LocatorTable table = read_tag_parts(*store_, entry.manifest, entry.table)->table;
    for (PagePlace& place : table.pages) {
      copy(place.page, ObjectKind::kPage);
      copy(place.locator, ObjectKind::kLocator);
    }
    copy(entry.manifest, ObjectKind::kManifest);
    copy(entry.schema, ObjectKind::kSchema);
    entry.table = *metas.add(ObjectKind::kLocatorTable, encode_locator_table(table));
    ASSERT_TRUE(succeeds(metas.finish()));
    const auto edit = [&](Root& root, TagBook& tags) -> Result<RootChange> {
      entry.commit = ++root.commit;
      tags.put(entry);
      return RootChange::kReplace;
    };
    ChangeOutcome outcome;
    ASSERT_TRUE(succeeds(change_tags(*store_, *SessionId::fresh(), 0s, edit, outcome)));
  }

  void forget_and_reclaim(const std::vector<std::string>& names) {
    std::vector<TagEntry> tags;
    for (const std::string& name : names) tags.push_back(*store_->find_tag(name));
    ASSERT_TRUE(succeeds(forget_tags(*store_, tags, true, 0s)));
    const auto reclaimed = reclaim(*store_, {});
    ASSERT_TRUE(succeeds(reclaimed));
    deleted_ = reclaimed->deleted.size();
  }

  /// Does so when a move is about to exchange entries.
  void collect_and_before_the_exchange(const std::function<void()>& intervene) {
    bool has_begun = false, is_over = false;
    const auto hook = [&](const std::string& key, const remote::HookedBackend::Put& put) {
      has_begun = has_begun || key.starts_with("sessions/");
      if (key == "root" && has_begun && !std::exchange(is_over, true)) intervene();
      return put();
    };
    remote::RemoteFs fs(std::make_unique<remote::HookedBackend>(backend_there(), hook), kRoot, 8);
    GcRequest request;
    request.reclaim.reader_grace = 0s;
    EXPECT_TRUE(succeeds(collect(**Store::open(fs, kRoot), request)));
    EXPECT_TRUE(is_over);
  }

  size_t deleted_ = 0;  // by the latest collection
};

TEST_F(SharedLocators, AMovedTagNeedsNothingThatOnlyAnotherTagNeeded) {
  const Bytes still = noise(2 * kMany, 1), old = noise(2 * kMany, 2);
  Bytes changed = old;
  const Bytes fresh = noise(kMany, 3);
  std::copy(fresh.begin(), fresh.end(), changed.begin());
  save_tensors("a", "none", {{"still", &still}});
  save_tensors("old", "a", {{"still", &still}, {"w", &old}});
  save_tensors("b", "old", {{"still", &still}, {"w", &changed}});
  write_anew("b", "c");
  forget_and_reclaim({"old"});
  collect_and_before_the_exchange([&] { forget_and_reclaim({"a", "b"}); });
  EXPECT_GT(deleted_, 0u);
  store_ = *Store::open(posix_fs(), path());
  EXPECT_EQ(load_whole("c", "still", {kMany}), still);
  EXPECT_EQ(load_whole("c", "w", {kMany}), changed);
}

TEST_F(BucketCollect, TheClockIsThePlaces) {
  const auto now = file_system_now(*bucket_);
  ASSERT_TRUE(succeeds(now));
  EXPECT_EQ(*now, posix_fs().info(join_path(path(), "clock"))->modified_ns);
}

}  // namespace
}  // namespace cairn
