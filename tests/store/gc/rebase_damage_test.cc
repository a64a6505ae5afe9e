// Damage that a collection need not mind: in what only the estimate of a rebase reads, and in one
// of the chains of a rebase.
#include <algorithm>
#include <fstream>

#include "tests/store/gc/rebase_fixture.h"

namespace cairn {
namespace {

class RebaseDamage : public RebaseFixture {
 protected:
  void SetUp() override {
    RebaseFixture::SetUp();
    save_steps(12);
    for (int i = 0; i < 11; ++i) forget({fmt::format("t/{:02}", i)});
  }
  void damage(FileKind kind, const FileId& file, uint64_t offset) {
    std::fstream stream(path() + "/" + relative_path(kind, file),
                        std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(offset);
    const int byte = stream.seekg(at).get();
    stream.seekp(at).put(static_cast<char>(byte ^ 0x10));
    ASSERT_TRUE(stream.flush());
    store_ = *Store::open(posix_fs(), path());
  }
  void damage(const Reference& object) {
    damage(FileKind::kMeta, object.file, object.offset + object.bytes / 2);
  }
};

TEST_F(RebaseDamage, OfWhatOnlyTheEstimateReadsFailsNothing) {
  ASSERT_TRUE(plan_collection(*store_, {})->rebase);
  collect_with(false);
  damage(store_->find_tag("t/11")->schema);
  const std::string ballast = path() + "/ballast";
  (void)posix_fs().remove(ballast);
  const auto planned = plan_collection(*store_, {});
  ASSERT_TRUE(succeeds(planned));
  EXPECT_FALSE(planned->rebase) << "it is not known";
  const auto report = collect(*store_, {});
  ASSERT_TRUE(succeeds(report));
  EXPECT_FALSE(report->rebase);
  EXPECT_TRUE(file_exists(posix_fs(), ballast));
  GcRequest request;
  request.rebase = true;
  const auto rebased = collect(*store_, request);
  ASSERT_TRUE(succeeds(rebased));
  EXPECT_EQ(rebased->not_rebased.size(), 1u);
  EXPECT_EQ(rebased->copies_rebased, 0u);
}

TEST_F(RebaseDamage, AChainThatIsDamagedIsLeftAlone) {
  const RebasePlan planned = plan();
  ASSERT_GT(planned.chains.size(), 1u);
  const auto& chain = planned.chains.back();
  auto checkpoint = *open_tag(*store_, chain.tag.name);
  const DecodePlan decoding = *plan_decoding(*checkpoint, chain.copies);
  const auto raw =
      std::find_if(decoding.copies.begin(), decoding.copies.end(),
                   [](const PlannedCopy& copy) { return copy.copy.stored_bytes > 100; });
  ASSERT_NE(raw, decoding.copies.end());
  damage(FileKind::kPack, raw->copy.pack, raw->copy.offset + raw->copy.stored_bytes / 2);
  GcRequest request;
  request.rebase = true;
  const auto report = collect(*store_, request);
  ASSERT_TRUE(succeeds(report));
  ASSERT_EQ(report->not_rebased.size(), 1u);
  EXPECT_NE(report->not_rebased[0].find("t/11"), std::string::npos);
  EXPECT_EQ(report->copies_rebased, planned.copies - chain.copies.size());
  store_ = *Store::open(posix_fs(), path());
  std::set<std::string> damaged;
  for (const Damage& damage : check_all().damage) damaged.insert(damage.tensor);
  EXPECT_FALSE(damaged.empty());
  EXPECT_LT(damaged.size(), states_.at("t/11").size()) << "the rest is as it was";
  // The next time too.
  const auto again = collect(*store_, request);
  ASSERT_TRUE(succeeds(again));
  EXPECT_EQ(again->not_rebased.size(), 1u);
  EXPECT_EQ(again->copies_rebased, 0u);
}

}  // namespace
}  // namespace cairn
