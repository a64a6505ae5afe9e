#include "lib/salvage.h"

#include <algorithm>
#include <filesystem>

#include "store/meta_pack.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Salvage : public StoreFixture {
 protected:
  void save_tag(const std::string& tag, uint32_t seed) {
    SaveRequest request;
    request.tag = tag;
    request.if_exists = IfExists::kReplace;
    const Shape shape = {64, 96};
    const Bytes data = noise(2 * 64 * 96, seed);
    for (auto& source : cut("w", shape, data, 0, 1, false)) request.tensors.push_back(source);
    ASSERT_TRUE(save(*store_, request));
  }
  std::string pack_of(const std::string& tag) const {
    const FileId pack{store_->find_tag(tag)->session, 0};
    return join_path(path(), relative_path(FileKind::kPack, pack));
  }
  std::string root() const { return join_path(path(), "root"); }

  /// Calls `look` on a store whose file system fails at one call after the other, until none is
  /// met any more. Returns how many looks failed.
  template <class Look>
  size_t fail_everywhere(const Look& look) const {
    for (size_t fail_at = 0, failed = 0;; ++fail_at) {
      FaultFs faults(posix_fs());
      const auto store = *Store::open(faults, path());
      faults.error.code = Code::kFailed;
      faults.fail_at = faults.calls + fail_at;
      const auto seen = look(*store);
      if (!seen) {
        EXPECT_EQ(seen.error().code, Code::kFailed) << seen.error().message;
        ++failed;
      }
      if (faults.calls <= faults.fail_at) return failed;
    }
  }
};

std::vector<std::string> names(const SalvagedRoot& found) {
  std::vector<std::string> names;
  for (const TagEntry& tag : found.tags) names.push_back(tag.name);
  return names;
}
using Names = std::vector<std::string>;

TEST_F(Salvage, AStoreThatAsksWritersForMoreStaysAsItIs) {
  save_tag("a", 1);
  const TagEntry a = *store_->find_tag("a");
  ask_for({{}, {"something new"}, {}});
  EXPECT_EQ(set_tags_aside(*store_, {a}, {}, 0ms).error().code, Code::kNewerFormat);
  EXPECT_FALSE(file_exists(posix_fs(), path() + "/set-aside"));
  std::filesystem::resize_file(root(), 100);
  const auto found = find_tags(*store_);
  ASSERT_TRUE(found);
  const auto lock = lock_collections(*store_, 0ms);
  EXPECT_EQ(put_salvaged_root(*store_, *found, **lock, 0ms).error().code, Code::kNewerFormat);
  EXPECT_EQ(std::filesystem::file_size(root()), 100u);
}

TEST_F(Salvage, WhatCannotBeReadThisTimeIsNoLoss) {
  save_tag("a", 1);
  save_tag("b", 2);
  const auto check_all = [](const Store& store) -> Result<CheckReport> {
    CheckRequest request;
    CAIRN_TRY(const TagList list, store.read_tags());
    request.tags = list.tags;
    request.read_percent = 100;
    request.threads = 1;
    auto report = check(store, request);
    if (!report) return report;
    EXPECT_TRUE(report->damage.empty()) << report->damage.front().message;
    return report;
  };
  EXPECT_GT(fail_everywhere(check_all), 10u);
  std::filesystem::remove(root());
  const auto find = [](const Store& store) -> Result<SalvagedRoot> {
    auto found = find_tags(store);
    if (!found) return found;
    EXPECT_EQ(names(*found), Names({"a", "b"}));
    EXPECT_TRUE(found->lost.empty() && found->damaged.empty());
    return found;
  };
  EXPECT_GT(fail_everywhere(find), 10u);
}

TEST_F(Salvage, TheNewestWholeEntryIsTakenAndLostTagsAreNamed) {
  std::vector<std::string> packs;
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    save_tag("a", seed);
    packs.push_back(pack_of("a"));
  }
  save_tag("b", 9);
  const TagEntry newest = *store_->find_tag("a");
  std::filesystem::remove(pack_of("b"));
  std::filesystem::remove(root());
  FaultFs faults(posix_fs());
  std::vector<std::string> opened;
  faults.counts = [&](FsCall call, const std::string& file) {
    if (call == FsCall::kOpen) opened.push_back(file);
    return false;
  };
  const auto found = find_tags(**Store::open(faults, path()));
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(names(*found), Names({"a"}));
  EXPECT_EQ(found->tags[0].session, newest.session);
  ASSERT_EQ(found->lost.size(), 1u);
  EXPECT_EQ(found->lost[0].name, "b");
  EXPECT_NE(found->lost[0].message.find("missing"), std::string::npos) << found->lost[0].message;
  EXPECT_EQ(std::count(opened.begin(), opened.end(), packs[0]), 0) << "older ones are not checked";
  std::filesystem::remove(packs[2]);
  EXPECT_LT(find_tags(*store_)->tags.at(0).commit, newest.commit) << "the next that is whole";
}

TEST_F(Salvage, WhatWasThinnedStaysThin) {
  save_tag("a", 1);
  TagEntry thinned = *store_->find_tag("a");
  thinned.facts.dropped_tensors = 1;
  MetaWriter metas(posix_fs(), path(), *SessionId::fresh());
  ASSERT_TRUE(metas.add(ObjectKind::kTagEntry, encode_tag_entry(thinned)));
  ASSERT_TRUE(metas.finish());
  std::filesystem::remove(root());
  EXPECT_EQ(find_tags(*store_)->tags.at(0).facts.dropped_tensors, 1u);
}

TEST_F(Salvage, OnlyADamagedRootIsReplaced) {
  save_tag("a", 1);
  const auto collections = *lock_collections(*store_, 0ms);
  EXPECT_EQ(lock_collections(*store_, 0ms).error().code, Code::kBusy);
  const SalvagedRoot found = *find_tags(*store_);
  const auto before = *read_file(posix_fs(), root(), kMiB);
  FaultFs faults(posix_fs());
  const auto store = *Store::open(faults, path());
  faults.fail_next(FsCall::kOpen, "/root");
  EXPECT_EQ(put_salvaged_root(*store, found, *collections, 0ms).error().code, Code::kFailed);
  EXPECT_EQ(*read_file(posix_fs(), root(), kMiB), before);
  EXPECT_EQ(put_salvaged_root(*store_, found, *collections, 0ms).error().code, Code::kExists);
  std::filesystem::remove(root());
  ASSERT_TRUE(put_salvaged_root(*store_, *find_tags(*store_), *collections, 0ms));
  EXPECT_TRUE(store_->find_tag("a"));
}

}  // namespace
}  // namespace cairn
