#include "store/forget.h"

#include <gtest/gtest.h>

#include "store/commit.h"
#include "tests/support/bare_lease.h"
#include "tests/support/fault_fs.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class Forget : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), path(), {}));
    store_ = *Store::open(posix_fs(), path());
  }
  std::string path() const { return folder_.path() + "/s"; }

  TagEntry make(const std::string& name) {
    TagEntry entry;
    entry.name = name;
    entry.session = *SessionId::fresh();
    CommitFailure failure;
    const BareLease lease(path(), entry.session);
    const auto done = commit_tag(*store_, entry, IfExists::kReplace, {}, 0ms, failure);
    EXPECT_TRUE(done);
    return done->entry;
  }
  std::vector<std::string> names() const {
    const TagList list = *store_->read_tags();
    std::vector<std::string> names;
    for (const TagEntry& tag : list.tags) names.push_back(tag.name);
    return names;
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

using Names = std::vector<std::string>;

TEST_F(Forget, RemovesAllOfThemOrNone) {
  const TagEntry a = make("a"), b = make("b"), c = make("c");
  ASSERT_TRUE(pin_tag(*store_, "c", true, 0ms));
  EXPECT_EQ(forget_tags(*store_, {a, c}, false, 0ms).error().code, Code::kProtected);
  EXPECT_EQ(names(), Names({"a", "b", "c"}));
  EXPECT_EQ(forget_tags(*store_, {a, b}, false, 0ms)->size(), 2u);
  EXPECT_EQ(names(), Names({"c"}));
  EXPECT_TRUE(forget_tags(*store_, {a, b}, false, 0ms)->empty()) << "gone already";
  EXPECT_EQ(forget_tags(*store_, {c}, true, 0ms)->size(), 1u);
  EXPECT_EQ(names(), Names());
}

TEST_F(Forget, AStoreThatAsksWritersForMoreStaysAsItIs) {
  const TagEntry a = make("a"), b = make("b");
  Config config = store_->config();
  config.features.write = {"something new"};
  const std::string file = path() + "/config";
  ASSERT_TRUE(posix_fs().remove(file));
  ASSERT_TRUE(write_new_file(posix_fs(), file, as_bytes(encode_config(config))));
  store_ = *Store::open(posix_fs(), path());
  const Bytes root = *read_file(posix_fs(), path() + "/root", kMiB);
  EXPECT_EQ(forget_tags(*store_, {a}, false, 0ms).error().code, Code::kNewerFormat);
  EXPECT_EQ(pin_tag(*store_, "a", true, 0ms).error().code, Code::kNewerFormat);
  EXPECT_EQ(fork_tag(*store_, "c", "a", 0ms).error().code, Code::kNewerFormat);
  const BareLease lease(path(), b.session);
  CommitFailure failure;
  EXPECT_EQ(commit_tag(*store_, b, IfExists::kSame, {}, 0ms, failure).error().code,
            Code::kNewerFormat);
  EXPECT_EQ(*read_file(posix_fs(), path() + "/root", kMiB), root);
}

TEST_F(Forget, ATagThatBecameAnotherStays) {
  const TagEntry old = make("a");
  make("a");
  EXPECT_EQ(forget_tags(*store_, {old}, false, 0ms).error().code, Code::kBusy);
  EXPECT_EQ(names(), Names({"a"}));
}

TEST_F(Forget, ATagInATableStaysForgotten) {
  std::vector<TagEntry> all;
  for (int i = 0; i < 650; ++i) all.push_back(make("t/" + std::to_string(i)));
  ASSERT_FALSE(read_root(posix_fs(), path())->tables.empty());
  ASSERT_EQ(forget_tags(*store_, {all[3], all[649]}, false, 0ms)->size(), 2u);
  EXPECT_EQ(names().size(), 648u);
  make("t/3");
  EXPECT_EQ(names().size(), 649u) << "the name can be used again";
  EXPECT_EQ(forget_tags(*store_, store_->read_tags()->tags, false, 0ms)->size(), 649u);
  EXPECT_EQ(names(), Names());
  make("new");
  EXPECT_EQ(names(), Names({"new"}));
}

TEST_F(Forget, PinsGoOnAndOff) {
  const TagEntry made = make("a");
  make("z");
  const uint64_t number = read_root(posix_fs(), path())->commit;
  EXPECT_TRUE(pin_tag(*store_, "a", true, 0ms)->pinned);
  EXPECT_EQ(read_root(posix_fs(), path())->commit, number + 1) << "each replacement counts";
  EXPECT_EQ(store_->find_tag("a")->commit, made.commit) << "and makes no tag newer";
  EXPECT_TRUE(pin_tag(*store_, "a", true, 0ms)->pinned) << "again";
  EXPECT_EQ(read_root(posix_fs(), path())->commit, number + 1);
  EXPECT_TRUE(store_->find_tag("a")->pinned);
  EXPECT_FALSE(pin_tag(*store_, "a", false, 0ms)->pinned);
  EXPECT_FALSE(store_->find_tag("a")->pinned);
  EXPECT_EQ(pin_tag(*store_, "b", true, 0ms).error().code, Code::kNotFound);
}

TEST_F(Forget, AFaultAnywhereLeavesTheTagOrNot) {
  for (size_t fail_at = 0;; ++fail_at) {
    const TagEntry tag = make("t");
    FaultFs faults(posix_fs());
    const auto faulty = *Store::open(faults, path());
    faults.fail_at = faults.calls + fail_at;
    const auto forgotten = forget_tags(*faulty, {tag}, false, 0ms);
    const bool done = faults.calls <= faults.fail_at;
    const auto again = forget_tags(*store_, {tag}, false, 0ms);
    ASSERT_TRUE(again) << "after a fault at " << fail_at;
    EXPECT_EQ(names(), Names());
    if (!done) continue;
    EXPECT_TRUE(forgotten && forgotten->size() == 1 && again->empty());
    EXPECT_GT(fail_at, 4u);
    break;
  }
}

}  // namespace
}  // namespace cairn
