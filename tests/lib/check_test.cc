// A check beside others who change the store; what damage is found is for tests/crash/byte_sweep.
#include "lib/check.h"

#include <filesystem>
#include <set>
#include <utility>

#include "store/forget.h"
#include "tests/lib/store_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

class Check : public StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    for (const char* tag : {"x", "y", "z"}) save_tag(tag, !std::string(tag).starts_with("z"));
  }

  /// `is_lost`: its pack is gone at once.
  void save_tag(const std::string& tag, bool is_lost) {
    SaveRequest request;
    request.tag = tag;
    request.if_exists = IfExists::kReplace;
    const Shape shape = {64, 96};
    const Bytes data = noise(2 * 64 * 96, ++seed_);
    for (auto& source : cut("w", shape, data, 0, 1, false)) request.tensors.push_back(source);
    ASSERT_TRUE(save(*store_, request));
    if (is_lost) std::filesystem::remove(pack_of(tag));
  }
  std::string pack_of(const std::string& tag) const {
    const FileId pack{store_->find_tag(tag)->session, 0};
    return join_path(path(), relative_path(FileKind::kPack, pack));
  }

  /// Checks all tags as they are now, and calls `meddle` before each later look at the root.
  Result<CheckReport> check_beside(const std::function<void()>& meddle, bool must_settle) {
    CheckRequest request;
    request.tags = store_->read_tags()->tags;
    request.read_percent = 100;
    request.must_settle = must_settle;
    FaultFs faults(posix_fs());
    const auto store = *Store::open(faults, path());
    faults.counts = [&](FsCall call, const std::string& file) {
      if (call == FsCall::kOpen && file.ends_with("/root")) meddle();
      if (call == FsCall::kOpen && file == pack_of("z")) ++looks_at_z_;
      return false;
    };
    return check(*store, request);
  }

  static std::set<std::string> damaged(const CheckReport& report) {
    std::set<std::string> tags;
    for (const Damage& damage : report.damage) tags.insert(damage.tag);
    return tags;
  }

  uint32_t seed_ = 0;
  int looks_at_z_ = 0;
};

using Names = std::vector<std::string>;

TEST_F(Check, ATagThatKeepsChangingDoesNotKeepItGoing) {
  const auto meddle = [&] { save_tag("y", true); };
  const auto report = check_beside(meddle, false);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(damaged(*report), std::set<std::string>({"x"}));
  EXPECT_EQ(report->unsettled, Names({"y"}));
  EXPECT_EQ(check_beside(meddle, true).error().code, Code::kBusy);
}

TEST_F(Check, OnlyWhatChangedIsLookedAtAgain) {
  const auto undisturbed = check_beside([] {}, false);
  const int looks_at_z = std::exchange(looks_at_z_, 0);
  EXPECT_GT(looks_at_z, 0);
  EXPECT_EQ(damaged(*undisturbed), std::set<std::string>({"x", "y"}));
  bool is_mended = false;
  const auto report = check_beside(
      [&] {
        if (!std::exchange(is_mended, true)) save_tag("y", false);
      },
      true);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(damaged(*report), std::set<std::string>({"x"}));
  EXPECT_EQ(looks_at_z_, looks_at_z);
  EXPECT_TRUE(report->unsettled.empty());
  EXPECT_EQ(report->tags, 3u);
}

TEST_F(Check, AForgottenTagIsNotDamaged) {
  bool is_forgotten = false;
  const auto report = check_beside(
      [&] {
        if (std::exchange(is_forgotten, true)) return;
        ASSERT_TRUE(forget_tags(*store_, {*store_->find_tag("y")}, false, std::chrono::seconds(0)));
      },
      true);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(damaged(*report), std::set<std::string>({"x"}));
  EXPECT_EQ(report->tags, 2u);
}

}  // namespace
}  // namespace cairn
