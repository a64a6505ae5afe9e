// Collections of stores with real checkpoints.
#include "store/gc/collect.h"

#include "store/commit.h"
#include "store/tag_change.h"
#include "tests/store/gc/collect_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Collect : public CollectFixture {};

TEST_F(Collect, NothingToDoDoesNothing) {
  save_tag("a", 2);
  const GcReport report = collect_as_planned();
  EXPECT_EQ(report.freed_bytes, 0);
  expect_whole();
}

TEST_F(Collect, WhatNoTagNeedsGoes) {
  save_tag("a", 2);
  save_tag("b", 3);
  forget({"a"});
  const GcReport report = collect_as_planned();
  EXPECT_EQ(report.packs_deleted, 1u);
  EXPECT_EQ(report.chunks_removed, 64);
  expect_whole();
  forget({"b"});
  collect_as_planned();
  EXPECT_EQ(bytes_on_disk(), 0u);
  EXPECT_TRUE(posix_fs().list(path() + "/packs")->empty()) << "folders go too";
}

TEST_F(Collect, HalfDeadPacksAreWrittenAnew) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 32);
  save_tag("c", 4, 48);
  forget({"a", "b"});
  const GcReport report = collect_as_planned();
  // Of a's chunks c needs the last 16, of b's none.
  EXPECT_EQ(report.packs_rewritten, 1u);
  EXPECT_EQ(report.packs_deleted, 1u);
  EXPECT_EQ(report.chunks_removed, 48 + 32);
  expect_whole();
  EXPECT_EQ(collect_as_planned().freed_bytes, 0) << "once is enough";
  save_tag("d", 5, 1);
  expect_whole();
}

TEST_F(Collect, TagTablesFollowTheirTags) {
  std::vector<std::string> old;
  for (uint32_t i = 0; i < 14; ++i) {
    old.push_back(save_pair(i));
  }
  name_again("new/3", "copy", 1100);
  ASSERT_GE(read_root(posix_fs(), path())->tables.size(), 4u);
  forget(old);
  EXPECT_GE(collect_as_planned().packs_rewritten, 14u) << "and 1,114 entries in several changes";
  expect_whole();
  std::vector<std::string> names;
  for (int i = 0; i < 900; ++i) names.push_back(fmt::format("copy/{:05}", i));
  forget(names);
  collect_as_planned();
  expect_whole();
}

TEST_F(Collect, DeadTagTablesDoNotStay) {
  save_tag("a", 2, 0);
  name_again("a", "copy", 1500);
  // Each change of one table leaves a dead one in a file that holds living ones.
  for (int round = 0; round < 20; ++round) name_again("a", fmt::format("copy/{:05}", round), 70);
  const auto table_files = [&] {
    std::set<FileId> files;
    const Root root = *read_root(posix_fs(), path());
    for (const TagTableRef& table : root.tables) files.insert(table.table.file);
    return files.size();
  };
  ASSERT_GT(table_files(), 3u);
  collect_as_planned();
  const GcReport report = collect_as_planned();
  EXPECT_EQ(report.freed_bytes, 0) << "it comes to an end";
  EXPECT_LE(table_files(), 17u);
  const uint64_t tags = store_->read_tags()->tags.size();
  EXPECT_LT(bytes_on_disk(), 2 * 64 * kElements + tags * 600 + 64 * kKiB);
  expect_whole();
}

TEST_F(Collect, TheLimitOnMovingIsKept) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 32);
  forget({"a"});
  GcRequest request;
  request.move.bytes_max = 16 * kKiB;
  const GcReport report = collect_as_planned(request);
  EXPECT_EQ(report.packs_rewritten, 0u);
  EXPECT_FALSE(report.is_cut) << "another run with this limit would find the same";
  ASSERT_TRUE(report.needed_limit);
  EXPECT_GT(*report.needed_limit, request.move.bytes_max);
  request.move.bytes_max = 128 * kKiB;
  EXPECT_EQ(collect_as_planned(request).packs_rewritten, 1u);
  expect_whole();
}

TEST_F(Collect, ALimitIsReachedInSeveralRuns) {
  std::vector<std::string> old;
  for (uint32_t i = 0; i < 6; ++i) old.push_back(save_pair(i));
  forget(old);
  GcRequest request;
  for (const uint64_t kib : {80, 90, 100, 150, 200}) {
    request.move.bytes_max = kib * kKiB;
    int runs = 0;
    for (bool more = true; more && runs < 10; ++runs) more = collect_as_planned(request).is_cut;
    EXPECT_LT(runs, 10) << "it comes to an end";
    expect_whole();
  }
  EXPECT_EQ(collect_as_planned().packs_rewritten, 0u) << "nothing is left";
}

TEST_F(Collect, AMoveThatFreesNothingIsNotMade) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 1);
  name_again("b", "copy", 100);
  forget({"a"});
  GcRequest request;
  request.move.min_dead_percent = 0;
  EXPECT_GE(collect_as_planned(request).freed_bytes, 0);
  EXPECT_EQ(collect_as_planned(request).freed_bytes, 0) << "it comes to an end";
  expect_whole();
}

TEST_F(Collect, ManySmallSavesBecomeFewFiles) {
  for (uint32_t i = 0; i < 40; ++i) save_tag("t" + std::to_string(i), i + 2, 2);
  ASSERT_TRUE(fork_tag(*store_, "fork", "t3", 0ms));
  states_["fork"] = states_["t3"];
  ASSERT_TRUE(pin_tag(*store_, "t5", true, 0ms));
  collect_as_planned();
  EXPECT_EQ(list_files(*store_)->size(), 2u);
  EXPECT_TRUE(store_->find_tag("t5")->pinned);
  expect_whole();
}

TEST_F(Collect, SmallPacksThatAreFullStayAsTheyAre) {
  Config config = store_->config();
  config.pack_bytes = kMiB;
  std::filesystem::remove_all(path());
  ASSERT_TRUE(Store::init(posix_fs(), path(), config));
  store_ = *Store::open(posix_fs(), path());
  for (const uint64_t elements : {2'000'000, 9'000'000}) {
    const std::string name = std::to_string(elements);
    SaveRequest request;
    request.tag = name;
    const Bytes data = noise(2 * elements, 3);
    request.tensors = cut("w", {elements}, data, 0, 1, false);
    ASSERT_TRUE(save(*store_, request));
  }
  ASSERT_GT(list_files(*store_)->size(), 20u);
  collect_as_planned();
  const GcReport again = collect_as_planned();
  EXPECT_EQ(again.packs_rewritten, 0u);
  EXPECT_EQ(again.freed_bytes, 0);
}

TEST_F(Collect, AMoveThatLostItsLeaseChangesNoTag) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 32);
  forget({"a"});
  const TagEntry before = *store_->find_tag("b");
  FaultFs faults(posix_fs());
  // When the new pack is being made, someone else takes the lease away.
  faults.counts = [&](FsCall call, const std::string& file) {
    if (call == FsCall::kCreate && file.find("/packs/") != std::string::npos) remove_leases();
    return false;
  };
  const auto store = *Store::open(faults, path());
  EXPECT_EQ(collect(*store, {}).error().code, Code::kBusy);
  EXPECT_EQ(store_->find_tag("b")->table, before.table);
  expect_whole();
  collect_as_planned();
  expect_whole();
}

TEST_F(Collect, NothingIsDeletedBehindALink) {
  save_tag("a", 2);
  save_tag("b", 3);
  const std::string name = "cd" + std::string(30, '0') + "-0";
  const std::string outside = folder_ / "outside";
  for (const char* kind : {"packs", "meta"}) {
    const std::string below = join_path(outside, kind);
    ASSERT_TRUE(posix_fs().make_folders(below));
    ASSERT_TRUE(write_new_file(posix_fs(), join_path(below, name), as_bytes("precious")));
    std::filesystem::create_symlink(below, path() + "/" + kind + "/cd");
  }
  forget({"a"});
  EXPECT_EQ(collect_as_planned().packs_deleted, 1u);
  for (const char* kind : {"packs", "meta"}) {
    EXPECT_TRUE(file_exists(posix_fs(), join_path(join_path(outside, kind), name)));
    EXPECT_TRUE(std::filesystem::is_symlink(path() + "/" + kind + "/cd"));
  }
  expect_whole();
}

TEST_F(Collect, ALinkedFolderOfPacksStopsIt) {
  save_tag("a", 2);
  save_tag("b", 3);
  forget({"a"});
  for (const char* kind : {"packs", "meta"}) {
    const std::string inside = join_path(path(), kind), outside = folder_ / kind;
    ASSERT_TRUE(posix_fs().rename(inside, outside));
    std::filesystem::create_directory_symlink(outside, inside);
    const uint64_t before = bytes_on_disk();
    EXPECT_TRUE(fails_with(Code::kProtected, plan_collection(*store_, {})));
    EXPECT_TRUE(fails_with(Code::kProtected, collect(*store_, {})));
    EXPECT_EQ(bytes_on_disk(), before);
    EXPECT_EQ(load_whole("b", "w", {kElements}), states_["b"]) << "reading goes on";
    ASSERT_TRUE(posix_fs().remove(inside));
    ASSERT_TRUE(posix_fs().rename(outside, inside));
  }
  EXPECT_EQ(collect_as_planned().packs_deleted, 1u);
}

TEST_F(Collect, AStoreThatAsksCollectorsForMoreIsLeftAlone) {
  save_tag("a", 2);
  forget({"a"});
  const uint64_t before = bytes_on_disk();
  for (const Features& features : {Features{{}, {"new"}, {}}, Features{{}, {}, {"new"}}}) {
    ask_for(features);
    EXPECT_TRUE(fails_with(Code::kNewerFormat, check_may_collect_in(*store_)));
    EXPECT_TRUE(fails_with(Code::kNewerFormat, plan_collection(*store_, {})));
    EXPECT_TRUE(fails_with(Code::kNewerFormat, collect(*store_, {})));
  }
  EXPECT_EQ(bytes_on_disk(), before);
}

TEST_F(Collect, ThePlanKnowsWhatForgettingWrites) {
  save_tag("a", 2);
  save_tag("b", 3);
  name_again("a", "copy", 420);
  // Enough metadata packs that small ones are merged.
  for (uint32_t i = 0; i < 16; ++i) save_tag("t" + std::to_string(i), 10 + i, 1);
  GcRequest request;
  std::vector<std::string> names;
  for (int i = 0; i < 420; ++i) names.push_back(fmt::format("copy/{:05}", i));
  request.without = {names.begin(), names.end()};
  const auto plan = plan_collection(*store_, request);
  ASSERT_TRUE(succeeds(plan));
  forget(names);
  const auto report = collect(*store_, {});
  ASSERT_TRUE(succeeds(report));
  EXPECT_GT(plan->metas_rewritten, 0u);
  EXPECT_EQ(plan->freed_bytes, report->freed_bytes);
  EXPECT_EQ(plan->metas_deleted, report->metas_deleted);
  EXPECT_EQ(plan->metas_rewritten, report->metas_rewritten);
  EXPECT_EQ(plan->moved_bytes, report->moved_bytes);
  expect_whole();
}

TEST_F(Collect, APlanBesideACollectionIsMadeAnew) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 32);
  forget({"a"});
  FaultFs faults(posix_fs());
  const auto store = *Store::open(faults, path());
  bool is_done = false;
  // When the plan has read the root, a collection moves what it says and deletes it.
  faults.counts = [&](FsCall call, const std::string& file) {
    const bool is_time = call == FsCall::kOpen && file.find("/meta/") != std::string::npos;
    if (is_time && !is_done) {
      is_done = true;
      EXPECT_TRUE(succeeds(collect(*store_, {})));
    }
    return false;
  };
  const auto plan = plan_collection(*store, {});
  ASSERT_TRUE(succeeds(plan));
  EXPECT_TRUE(is_done);
  EXPECT_EQ(plan->freed_bytes, 0);
  EXPECT_TRUE(plan->unmovable.empty());
}

TEST_F(Collect, NothingIsDeletedWhenATagCannotBeRead) {
  save_tag("a", 2);
  save_tag("b", 3);
  forget({"a"});
  const TagEntry b = *store_->find_tag("b");
  const uint64_t before = bytes_on_disk();
  const std::string meta = join_path(path(), relative_path(FileKind::kMeta, b.table.file));
  ASSERT_TRUE(posix_fs().rename(meta, path() + "/elsewhere"));
  store_ = *Store::open(posix_fs(), path());
  const auto report = collect(*store_, {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kCorrupt);
  EXPECT_NE(report.error().message.find("'b'"), std::string::npos) << report.error().message;
  ASSERT_TRUE(posix_fs().rename(path() + "/elsewhere", meta));
  EXPECT_EQ(bytes_on_disk(), before);
  forget({"b"});
  EXPECT_TRUE(collect(*store_, {})) << "forgetting the tag is a way out";
}

TEST_F(Collect, ADamagedPackStaysAsItIs) {
  save_tag("a", 2, 0);
  save_tag("b", 3, 32);
  const TagEntry a = *store_->find_tag("a");
  forget({"a"});
  const FileId pack{a.session, 0};
  const std::string file = join_path(path(), relative_path(FileKind::kPack, pack));
  Bytes bytes = *read_file(posix_fs(), file, kGiB);
  bytes[bytes.size() - 64 - 56 * 64 - 100] ^= 1;  // in the last chunk, which b needs
  ASSERT_TRUE(posix_fs().remove(file));
  ASSERT_TRUE(write_new_file(posix_fs(), file, bytes));
  const auto report = collect(*store_, {});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->unmovable.size(), 1u);
  EXPECT_TRUE(file_exists(posix_fs(), file));
  EXPECT_TRUE(survey_store(*store_)->unneeded().empty()) << "what was written in vain is removed";
}

TEST_F(Collect, AFaultAtAnyCallLosesNothing) {
  bool is_done = false;
  // Each call at first, then fewer of what is the same again and again.
  for (size_t fail_at = 0; !is_done; fail_at += 1 + fail_at / 50) {
    std::filesystem::remove_all(path());
    states_.clear();
    SetUp();
    save_tag("a", 2, 0);
    save_tag("b", 3, 32);
    save_tag("c", 4, 8);
    forget({"a"});
    FaultFs faults(posix_fs());
    faults.fail_at = fail_at;
    faults.error = {fail_at % 2 == 0 ? Code::kNoSpace : Code::kFailed, "injected fault", ""};
    faults.takes_effect = fail_at % 3 == 0;
    const auto store = Store::open(faults, path());
    if (store) (void)collect(**store, {}).has_value();
    is_done = faults.calls <= fail_at;
    store_ = *Store::open(posix_fs(), path());
    ASSERT_TRUE(collect(*store_, {})) << "after a fault at call " << fail_at;
    expect_whole();
    EXPECT_TRUE(survey_store(*store_)->unneeded().empty()) << "after a fault at call " << fail_at;
    EXPECT_EQ(plan_collection(*store_, {})->freed_bytes, 0) << "after a fault at call " << fail_at;
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace cairn
