// Copies that keep forgotten tags alive are stored by themselves where that pays.
#include "store/gc/rebase.h"

#include "store/commit.h"
#include "tests/store/forged_tag.h"
#include "tests/store/gc/rebase_fixture.h"
#include "tests/support/bare_lease.h"

namespace cairn {
namespace {

using Rebase = RebaseFixture;

TEST_F(Rebase, NothingIsPlannedWhileTheBasesStand) {
  save_steps(6);
  EXPECT_TRUE(plan().is_empty());
  const GcReport report = collect_with(true);
  EXPECT_EQ(report.copies_rebased, 0u);
  EXPECT_EQ(report.freed_bytes, 0);
}

TEST_F(Rebase, ALongTailOfForgottenTagsGoes) {
  save_steps(12);
  ASSERT_EQ(encodings("t/11")["raw"] + encodings("t/11")["planes"], 0u) << "all is made from bases";
  for (int i = 0; i < 11; ++i) forget({fmt::format("t/{:02}", i)});
  ASSERT_FALSE(orphan_bases().empty());
  const RebasePlan planned = plan();
  EXPECT_FALSE(planned.is_empty());
  EXPECT_GT(planned.frees_bytes, planned.writes_bytes);
  const GcReport report = collect_with(true);
  EXPECT_EQ(report.copies_rebased, planned.copies);
  EXPECT_GT(report.freed_bytes, 0);
  expect_sound();
  EXPECT_TRUE(orphan_bases().empty());
  EXPECT_TRUE(plan().is_empty()) << "once is enough";
  EXPECT_EQ(collect_with(true).freed_bytes, 0);
  // The series goes on from there.
  save_steps(3);
  expect_sound();
}

TEST_F(Rebase, WithoutItTheTailStays) {
  save_steps(12);
  for (int i = 0; i < 11; ++i) forget({fmt::format("t/{:02}", i)});
  const GcReport report = collect_with(false);
  EXPECT_EQ(report.copies_rebased, 0u);
  EXPECT_GT(report.rebase->frees_bytes, report.rebase->writes_bytes) << "it says what one would do";
  EXPECT_FALSE(orphan_bases().empty());
  expect_sound();
}

TEST_F(Rebase, WhereItDoesNotPayNothingIsDone) {
  save_steps(2);
  forget({"t/00"});
  const RebasePlan planned = plan();
  const auto after = collect_with(true);
  EXPECT_EQ(after.copies_rebased, planned.copies);
  expect_sound();
}

TEST_F(Rebase, NeverMakesTheStoreLarger) {
  // Little is gained with any of these chunks, and metadata is written for them all the same.
  trainer_ = Trainer(2);
  for (int i = 0; i < 12; ++i) trainer_.add(fmt::format("small/{}", i), {10, 20});
  for (int i = 0; i < 24; i += 3) {
    save_steps(3);
    forget({fmt::format("t/{:02}", i), fmt::format("t/{:02}", i + 1)});
    collect_with(false);
    const RebasePlan planned = plan();
    const GcReport report = collect_with(true);
    EXPECT_GE(report.freed_bytes, 0) << "of " << i << " forgotten tags";
    EXPECT_EQ(report.freed_bytes > 0, report.copies_rebased > 0);
    EXPECT_GE(report.chunks_removed, 0);
    EXPECT_TRUE(plan().is_empty()) << "once is enough";
  }
  expect_sound();
}

TEST_F(Rebase, WhatTurnsOutNotToPayIsRemovedAgain) {
  save_steps(12);
  for (int i = 0; i < 11; ++i) forget({fmt::format("t/{:02}", i)});
  const Survey survey = *survey_store(*store_);
  RebasePlan planned = plan();
  ASSERT_FALSE(planned.is_empty());
  planned.frees_bytes = planned.writes_bytes / 2;
  const uint64_t before = files_bytes(*store_);
  Rebased rebased;
  const MoveRequest how{std::chrono::seconds(0), 0, nullptr, nullptr};
  EXPECT_TRUE(succeeds(rebase(*store_, survey, planned, how, rebased)));
  EXPECT_EQ(rebased.copies, 0u);
  EXPECT_EQ(rebased.moved.written_bytes, 0u);
  EXPECT_EQ(files_bytes(*store_), before);
  expect_sound();
}

TEST_F(Rebase, WhatItWouldFreeIsToldWithinAFifth) {
  save_steps(12);
  for (int i = 0; i < 11; ++i) forget({fmt::format("t/{:02}", i)});
  collect_with(false);
  const RebasePlan planned = plan();
  const auto told = double(planned.frees_bytes) - double(planned.writes_bytes);
  const GcReport report = collect_with(true);
  EXPECT_NEAR(told, double(report.freed_bytes), double(report.freed_bytes) / 5);
}

TEST_F(Rebase, TagsThatShareChainsAreAllExchanged) {
  save_steps(8);
  const State frozen = trainer_.state();
  save_steps(6);
  // Half of it equals an earlier tag.
  State mixed = trainer_.state();
  for (const auto& [name, tensor] : frozen) {
    if (name.starts_with("b.")) mixed[name] = tensor;
  }
  save_state("t/mixed", mixed);
  ASSERT_TRUE(succeeds(fork_tag(*store_, "other", "t/13", std::chrono::seconds(0))));
  states_["other"] = states_["t/13"];
  for (int i = 0; i < 13; ++i) forget({fmt::format("t/{:02}", i)});
  collect_with(true);
  expect_sound();
  EXPECT_TRUE(orphan_bases().empty());
  forget({"t/13", "other"});
  collect_with(true);
  expect_sound();
}

TEST_F(Rebase, WhatTwoBranchesNeedIsFreedOnce) {
  save_steps(12);
  for (const char* branch : {"x", "y"}) {
    trainer_.step();
    save_trainer(branch, trainer_, [](SaveRequest& request) {
      request.base = "t/11";
      request.restore_budget = 1000;
    });
  }
  for (int i = 0; i < 12; ++i) forget({fmt::format("t/{:02}", i)});
  collect_with(false);
  uint64_t pack_bytes = 0;
  const auto files = list_files(*store_);
  for (const StoredFile& file : *files) {
    if (file.kind == FileKind::kPack) pack_bytes += file.bytes;
  }
  const RebasePlan planned = plan();
  EXPECT_GT(planned.frees_bytes, planned.writes_bytes) << "both together are worth it";
  uint64_t freed_bytes = 0;
  for (const auto& [pack, freed] : planned.freed_packs) freed_bytes += freed;
  EXPECT_LE(freed_bytes, pack_bytes);
  collect_with(true);
  expect_sound();
  EXPECT_TRUE(orphan_bases().empty());
}

TEST_F(Rebase, AStopLeavesAllAsItWas) {
  save_steps(10);
  for (int i = 0; i < 9; ++i) forget({fmt::format("t/{:02}", i)});
  const std::atomic<bool> stop = true;
  const Survey survey = *survey_store(*store_);
  const RebasePlan planned = plan();
  const uint64_t before = files_bytes(*store_);
  Rebased rebased;
  const MoveRequest how{std::chrono::seconds(0), 0, nullptr, &stop};
  EXPECT_TRUE(fails_with(Code::kCancelled, rebase(*store_, survey, planned, how, rebased)));
  EXPECT_EQ(rebased.moved.changes, 0u);
  EXPECT_EQ(files_bytes(*store_), before);
  expect_sound();
}

TEST_F(Rebase, TagsThatChangedMeanwhileStayWhatTheyBecame) {
  save_steps(10);
  for (int i = 0; i < 8; ++i) forget({fmt::format("t/{:02}", i)});
  const Survey survey = *survey_store(*store_);
  const RebasePlan planned = plan();
  forget({"t/08"});
  trainer_.step();
  save_trainer("t/09", trainer_,
               [](SaveRequest& request) { request.if_exists = IfExists::kReplace; });
  Rebased rebased;
  const MoveRequest how{std::chrono::seconds(0), 0, nullptr, nullptr};
  const auto done = rebase(*store_, survey, planned, how, rebased);
  EXPECT_TRUE(succeeds(done));
  EXPECT_EQ(rebased.moved.changes, 0u);
  expect_sound();
  collect_with(true);
  expect_sound();
}

/// What no save writes: copies that say they have bases and need none.
class ForgedRebase : public ForgedTags {
 protected:
  void commit(const std::string& name, const Checkpoint& checkpoint) {
    TagEntry entry = checkpoint.tag();
    entry.name = name;
    CommitFailure failure;
    const BareLease lease(path(), entry.session);
    ASSERT_TRUE(succeeds(
        commit_tag(*store_, entry, IfExists::kError, {}, std::chrono::seconds(0), failure)));
  }
};

TEST_F(ForgedRebase, CopiesWithBasesThatAreRawAreNoCrash) {
  const Bytes below = noise(kChunkBytes, 1), above = noise(kChunkBytes, 2);
  Copy base = put_raw(below), made = put_raw(above);
  made.bases = {{page_digest({blake3(below)}), 0}};
  const auto first = open({blake3(below)}, {base});
  commit("a", *first);
  session_ = *SessionId::fresh();
  commit("b", *open({blake3(above)}, {made}, {first->table().pages[0]}));
  ASSERT_TRUE(
      succeeds(forget_tags(*store_, {*store_->find_tag("a")}, false, std::chrono::seconds(0))));
  GcRequest request;
  request.rebase = true;
  const auto report = collect(*store_, request);
  EXPECT_TRUE(report || report.error().code == Code::kCorrupt);
  std::string data(kChunkBytes, '\0');
  auto checkpoint = *cairn::open_tag(*store_, "b");
  LoadRequest load_request;
  load_request.targets.push_back(
      {"w", Dtype::kU8, {kChunkBytes}, whole_box({kChunkBytes}), data.data(), {}});
  ASSERT_TRUE(succeeds(load(*checkpoint, load_request)));
  EXPECT_EQ(Bytes(data.begin(), data.end()), above);
}

}  // namespace
}  // namespace cairn
