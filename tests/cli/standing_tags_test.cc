// Looks at the tags of a store that changes meanwhile, and of one that does not.
#include "cli/standing_tags.h"

#include <gtest/gtest.h>

#include "store/root.h"
#include "tests/support/outcome.h"
#include "tests/support/temp_folder.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class StandingTags : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Store::init(posix_fs(), folder_ / "s", {}));
    store_ = *Store::open(posix_fs(), folder_ / "s");
  }
  void change() const {
    bool may_be_visible = false;
    const auto edit = [](Root& root) -> Result<RootChange> {
      ++root.commit;
      return RootChange::kReplace;
    };
    ASSERT_TRUE(
        change_root(posix_fs(), store_->path(), *SessionId::fresh(), 0ms, edit, may_be_visible));
  }
  /// Fails with `code` at the first `failures` looks, beside changes of the store or not.
  Result<int> look(int failures, bool changes, Code code = Code::kNotFound) {
    looks_ = 0;
    return look_at_tags(*store_, [&](const TagList&) -> Result<int> {
      if (++looks_ > failures) return 7;
      if (changes) change();
      return fail(code, "a file is gone");
    });
  }

  TempFolder folder_;
  std::unique_ptr<Store> store_;
  int looks_ = 0;
};

TEST_F(StandingTags, AStoreThatChangedIsLookedAtAgain) {
  EXPECT_EQ(*look(0, false), 7);
  EXPECT_EQ(*look(2, true), 7);
  EXPECT_EQ(looks_, 3);
  EXPECT_TRUE(fails_with(Code::kCorrupt, look(99, true)));
  EXPECT_EQ(looks_, 5) << "not for ever";
}

TEST_F(StandingTags, WhatIsGoneFromAStoreThatStandsStillIsDamage) {
  const auto seen = look(1, false);
  ASSERT_TRUE(fails_with(Code::kCorrupt, seen));
  EXPECT_EQ(seen.error().hint, "run 'cairn check'");
  EXPECT_EQ(looks_, 1);
}

TEST_F(StandingTags, OtherErrorsStand) {
  EXPECT_TRUE(fails_with(Code::kCancelled, look(1, true, Code::kCancelled)));
  EXPECT_EQ(looks_, 1);
}

}  // namespace
}  // namespace cairn
