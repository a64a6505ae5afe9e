#include "store/bases.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

/// Own page 0, pages 1 and 2 of bases; a page's digest begins with its number and 1.
LocatorTable three_pages() {
  LocatorTable table;
  table.pages.resize(1);
  table.closure.resize(2);
  table.pages[0].page.digest.bytes[0] = 1;
  table.closure[0].page.digest.bytes[0] = 2;
  table.closure[1].page.digest.bytes[0] = 3;
  return table;
}

BaseRef base_at(uint8_t page, uint32_t slot) {
  BaseRef base;
  base.page.bytes[0] = static_cast<uint8_t>(page + 1);
  base.slot = slot;
  return base;
}

Copy copy_at(uint64_t offset, std::vector<BaseRef> bases = {}) {
  return {{}, offset, 8, 8, Encoding::kRaw, std::move(bases), {}};
}

TEST(Bases, AreFollowedThroughTheClosureOnce) {
  // The last copy of page 2 is nobody's base.
  const std::vector<Locator> locators = {
      {{copy_at(0, {base_at(1, 1), base_at(0, 1)}), copy_at(8, {base_at(1, 1)})}},
      {{copy_at(16), copy_at(24, {base_at(2, 0)})}},
      {{copy_at(32), copy_at(40)}}};
  std::vector<uint64_t> met;
  const auto read = [&](size_t page) -> Result<Locator> { return locators[page]; };
  ASSERT_TRUE(for_each_needed(three_pages(), read, [&](const CopyRef& ref, const Copy& copy) {
    EXPECT_EQ(locators[ref.page].copies[ref.slot], copy);
    met.push_back(copy.offset);
    return Status();
  }));
  EXPECT_EQ(met, std::vector<uint64_t>({0, 8, 24, 32}));
}

TEST(Bases, ThatAreNotThereAreDamage) {
  for (const BaseRef& base : {base_at(3, 0), base_at(1, 1), base_at(0, 1)}) {
    const auto read = [&](size_t page) -> Result<Locator> {
      return page == 0 ? Locator{{copy_at(0, {base})}} : Locator{{copy_at(8)}};
    };
    const auto visit = [](const CopyRef&, const Copy&) -> Status { return {}; };
    EXPECT_EQ(for_each_needed(three_pages(), read, visit).error().code, Code::kCorrupt);
  }
}

TEST(Bases, OfEqualPagesTheFirstIsMeant) {
  LocatorTable table = three_pages();
  table.closure[1].page.digest = table.closure[0].page.digest;
  EXPECT_EQ(PageNumbers(table).of(table.closure[1].page.digest), 1u);
}

}  // namespace
}  // namespace cairn
