#include "store/thin.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "lib/check.h"
#include "store/forget.h"
#include "store/gc/collect.h"
#include "store/tag_change.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

Result<uint64_t> two_bytes_each(const TensorInfo& tensor) {
  uint64_t bytes = 2;
  for (const uint64_t length : tensor.shape) bytes *= length;
  return bytes;
}

class Thin : public StoreFixture {
 protected:
  const Shape kShape = {64, 96};

  /// 40 tensors, each held by two writers, and an attachment.
  void save_tag(const std::string& tag, uint32_t seed) {
    SaveRequest request;
    request.tag = tag;
    for (uint32_t i = 0; i < 40; ++i) {
      const std::string name = (i % 2 == 0 ? "weight." : "moment.") + std::to_string(i);
      Bytes& data = states_[tag][name] = noise(2 * 64 * 96, i % 3 == 0 ? seed : i);
      for (auto& source : cut(name, kShape, data, 0, 2, true)) request.tensors.push_back(source);
    }
    request.attachments.push_back({"note", as_bytes("remember")});
    ASSERT_TRUE(save(*store_, request));
  }

  Result<std::vector<ThinnedTag>> thin(const std::string& tag, const std::string& glob,
                                       bool dry_run = false) {
    return thin_tags(*store_, {*store_->find_tag(tag)}, {glob}, two_bytes_each, dry_run, 0ms);
  }

  void expect_sound() {
    CheckRequest request;
    request.tags = store_->read_tags()->tags;
    request.read_percent = 100;
    const auto report = check(*store_, request);
    ASSERT_TRUE(report);
    for (const Damage& damage : report->damage) ADD_FAILURE() << damage.message;
  }

  std::map<std::string, std::map<std::string, Bytes>> states_;
};

TEST_F(Thin, AStoreThatAsksWritersForMoreGetsNotEvenALease) {
  save_tag("a", 1);
  ask_for({{}, {"something new"}, {}});
  FaultFs faults(posix_fs());
  store_ = *Store::open(faults, path());
  const auto thinned = thin("a", "moment.*");
  ASSERT_FALSE(thinned);
  EXPECT_EQ(thinned.error().code, Code::kNewerFormat);
  EXPECT_TRUE(faults.changes.empty());
}

TEST_F(Thin, OnlyTheCheckpointThatWasLookedAt) {
  save_tag("a", 100);
  const TagEntry judged = *store_->find_tag("a");
  SaveRequest request;
  request.tag = "a";
  request.if_exists = IfExists::kReplace;
  const Bytes data = noise(2 * 64 * 96, 7);
  for (const char* name : {"weight.0", "moment.1"}) {
    for (auto& source : cut(name, kShape, data, 0, 1, true)) request.tensors.push_back(source);
  }
  ASSERT_TRUE(save(*store_, request));
  for (const bool dry_run : {true, false}) {
    const auto done = thin_tags(*store_, {judged}, {"moment.*"}, two_bytes_each, dry_run, 0ms);
    ASSERT_FALSE(done) << "it was replaced meanwhile";
    EXPECT_EQ(done.error().code, Code::kBusy);
  }
  EXPECT_EQ(store_->find_tag("a")->facts.tensors, 2u);
  const TagEntry before = *store_->find_tag("a");
  ASSERT_TRUE(thin("a", "moment.*"));
  EXPECT_EQ(forget_tags(*store_, {before}, true, 0ms).error().code, Code::kBusy)
      << "thinning keeps the commit number and makes another checkpoint";
  expect_sound();
}

TEST_F(Thin, WhatStaysIsTheSameAndWhatGoesIsFreed) {
  save_tag("a", 100);
  save_tag("b", 101);
  const auto thinned = thin("a", "moment.*");
  ASSERT_TRUE(thinned) << thinned.error().message;
  ASSERT_EQ(thinned->size(), 1u);
  EXPECT_EQ((*thinned)[0].tensors(), 20u);
  EXPECT_EQ((*thinned)[0].logical_bytes(), 20u * 2 * 64 * 96);
  const TagEntry a = *store_->find_tag("a");
  EXPECT_EQ(a.facts.tensors, 20u);
  EXPECT_EQ(a.facts.dropped_tensors, 20u);
  EXPECT_LT(a.commit, store_->find_tag("b")->commit) << "it keeps its place";
  expect_sound();
  EXPECT_GT(collect(*store_, {})->freed_bytes, 0);
  expect_sound();
  store_ = *Store::open(posix_fs(), path());
  auto checkpoint = *open_tag(*store_, "a");
  EXPECT_EQ(checkpoint->layout()->writers, 2u);
  for (const auto& [name, data] : states_["a"]) {
    EXPECT_EQ(checkpoint->find_tensor(name).has_value(), name.starts_with("weight."));
    if (!name.starts_with("weight.")) continue;
    EXPECT_EQ(load_whole("a", name, kShape), data);
  }
  for (const auto& [name, data] : states_["b"]) EXPECT_EQ(load_whole("b", name, kShape), data);
  EXPECT_TRUE(checkpoint->find_attachment("note"));
}

TEST_F(Thin, ADryRunAndAnEmptyMatchChangeNothing) {
  save_tag("a", 100);
  const TagEntry before = *store_->find_tag("a");
  EXPECT_EQ(thin("a", "moment.*", true)->at(0).tensors(), 20u);
  EXPECT_TRUE(thin("a", "optimizer.*")->empty());
  EXPECT_EQ(store_->find_tag("a")->table, before.table);
}

TEST_F(Thin, AllOrNothing) {
  save_tag("a", 100);
  EXPECT_EQ(thin("a", "*").error().code, Code::kUsage);
  ASSERT_TRUE(pin_tag(*store_, "a", true, 0ms));
  EXPECT_EQ(thin("a", "moment.*").error().code, Code::kProtected);
  EXPECT_EQ(store_->find_tag("a")->facts.tensors, 40u);
}

TEST_F(Thin, WithoutItsLeaseItChangesNothing) {
  save_tag("a", 100);
  FaultFs faults(posix_fs());
  faults.counts = [&](FsCall call, const std::string& file) {
    if (call == FsCall::kCreate && file.find("/meta/") != std::string::npos) remove_leases();
    return false;
  };
  const auto store = *Store::open(faults, path());
  EXPECT_EQ(thin_tags(*store, {*store->find_tag("a")}, {"moment.*"}, two_bytes_each, false, 0ms)
                .error()
                .code,
            Code::kBusy);
  EXPECT_EQ(store_->find_tag("a")->facts.tensors, 40u);
  expect_sound();
}

TEST_F(Thin, ManyTagsAreThinnedSomeAtATimeAndAStopIsHeardBetween) {
  save_tag("a", 100);
  const TagEntry a = *store_->find_tag("a");
  const auto fork = [&](Root& root, TagBook& book) -> Result<RootChange> {
    for (int i = 0; i < 1100; ++i) {
      TagEntry copy = a;
      copy.name = fmt::format("t/{:04}", i);
      copy.commit = ++root.commit;
      book.put(std::move(copy));
    }
    return RootChange::kReplace;
  };
  ChangeOutcome outcome;
  ASSERT_TRUE(change_tags(*store_, *SessionId::fresh(), 0ms, fork, outcome));
  std::atomic<bool> stop{false};
  FaultFs faults(posix_fs());
  faults.counts = [&](FsCall call, const std::string& file) {
    if (call == FsCall::kRename && file.find("/root.") != std::string::npos) stop = true;
    return false;
  };
  const auto store = *Store::open(faults, path());
  std::vector<TagEntry> tags = store_->read_tags()->tags;
  const auto stopped = thin_tags(*store, tags, {"moment.*"}, two_bytes_each, false, {0ms, &stop});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_NE(stopped.error().message.find("1024 of 1101"), std::string::npos)
      << stopped.error().message;
  const auto count_thin = [&] {
    tags = store_->read_tags()->tags;
    return std::count_if(tags.begin(), tags.end(),
                         [](const TagEntry& tag) { return tag.facts.tensors == 20; });
  };
  EXPECT_EQ(count_thin(), 1024);
  EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
  const auto rest = thin_tags(*store_, tags, {"moment.*"}, two_bytes_each, false, 0ms);
  EXPECT_EQ(rest->size(), 77u);
  EXPECT_EQ(count_thin(), 1101);
  expect_sound();
}

TEST_F(Thin, ASaveWithAThinnedBaseFindsWhatIsLeft) {
  save_tag("a", 100);
  ASSERT_TRUE(thin("a", "moment.*"));
  save_tag("b", 100);
  // Of the 20 moments 7 have the same bytes.
  EXPECT_EQ(store_->find_tag("b")->facts.new_bytes, 14u * 2 * 64 * 96);
  expect_sound();
}

}  // namespace
}  // namespace cairn
