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
}

}  // namespace
}  // namespace cairn
