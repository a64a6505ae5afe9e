// Readers that have a tag open while its chains are stored by themselves, which renumbers the pages
// of bases.
#include "tests/store/gc/rebase_fixture.h"

namespace cairn {
namespace {

class RebaseReaders : public RebaseFixture {
 protected:
  /// Opens the tag and reads its own pages, which stay at hand, and none of its bases'.
  std::unique_ptr<Checkpoint> open_in_part(const std::string& tag) {
    // Of its own, so that it has no file open that only the collector read.
    reader_ = *Store::open(posix_fs(), path());
    auto checkpoint = *open_tag(*reader_, tag);
    const LocatorTable& table = checkpoint->table();
    EXPECT_FALSE(table.closure.empty());
    for (size_t page = 0; page < table.pages.size(); ++page) {
      EXPECT_TRUE(succeeds(checkpoint->page(page)));
    }
    return checkpoint;
  }
  void forget_to(int count) {
    for (int i = 0; i < count; ++i) forget({fmt::format("t/{:02}", i)});
  }
  std::unique_ptr<Store> reader_;
};

TEST_F(RebaseReaders, LoadOnAfterTheBasesAreGone) {
  save_steps(12);
  const auto checkpoint = open_in_part("t/11");
  forget_to(11);
  EXPECT_GT(collect_with(true).copies_rebased, 0u);
  EXPECT_TRUE(succeeds(load_boxes(*checkpoint, states_.at("t/11"), 1)));
}

TEST_F(RebaseReaders, LoadOnWhereOnlySomeBasesAreGone) {
  save_steps(12);
  const auto checkpoint = open_in_part("t/11");
  forget_to(9);
  EXPECT_GT(collect_with(true).copies_rebased, 0u);
  EXPECT_TRUE(succeeds(load_boxes(*checkpoint, states_.at("t/11"), 1)));
}

TEST_F(RebaseReaders, APageOfABaseIsThatPageOrNone) {
  save_steps(12);
  const auto checkpoint = open_in_part("t/11");
  forget_to(9);
  collect_with(true);
  const LocatorTable& table = checkpoint->table();
  size_t gone = 0;
  for (size_t number = table.pages.size(); number < table.page_count(); ++number) {
    const auto page = checkpoint->page(number);
    if (page) {
      EXPECT_EQ(blake3(encode_page((*page)->page)), table.place(number).page.digest) << number;
    } else {
      EXPECT_TRUE(fails_with(Code::kCorrupt, page));
      ++gone;
    }
  }
  EXPECT_GT(gone, 0u);
}

}  // namespace
}  // namespace cairn
