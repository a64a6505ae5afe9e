#include "store/base_cycles.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

/// The digest of a page of that number.
Digest page_digest(uint32_t page) {
  Digest digest;
  digest.bytes[0] = static_cast<uint8_t>(page + 1);
  return digest;
}

Locator locator_of(const std::vector<std::vector<CopyRef>>& bases) {
  Locator locator;
  for (const auto& each : bases) {
    Copy copy;
    for (const CopyRef& base : each) copy.bases.push_back({page_digest(base.page), base.slot});
    locator.copies.push_back(copy);
  }
  return locator;
}

Result<bool> is_cyclic(const std::vector<Locator>& pages) {
  LocatorTable table;
  table.pages.resize(pages.size());
  for (uint32_t page = 0; page < pages.size(); ++page) {
    table.pages[page].page.digest = page_digest(page);
  }
  return has_base_cycle(table, [&](size_t page) -> Result<Locator> { return pages[page]; });
}

TEST(BaseCycles, ChainsAndSharedBasesAreFine) {
  EXPECT_FALSE(*is_cyclic({}));
  EXPECT_FALSE(*is_cyclic({locator_of({{}, {{0, 0}}, {{0, 0}, {0, 1}}})}));
  EXPECT_FALSE(*is_cyclic({locator_of({{{1, 1}}}), locator_of({{}, {{1, 0}}})}));
}

TEST(BaseCycles, ACircleOfAnyLengthIsFound) {
  EXPECT_TRUE(*is_cyclic({locator_of({{{0, 0}}})}));
  EXPECT_TRUE(*is_cyclic({locator_of({{{1, 0}}}), locator_of({{{0, 0}}})}));
  EXPECT_TRUE(*is_cyclic({locator_of({{}, {{0, 0}, {1, 0}}}), locator_of({{{1, 1}}, {{0, 1}}})}));
}

TEST(BaseCycles, ABaseThatIsNotThereIsDamage) {
  EXPECT_EQ(is_cyclic({locator_of({{{1, 0}}})}).error().code, Code::kCorrupt);
  EXPECT_EQ(is_cyclic({locator_of({{{0, 1}}})}).error().code, Code::kCorrupt);
}

TEST(BaseCycles, OnlyEarlierBasesNeverMakeOne) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    std::vector<Locator> pages(3);
    std::vector<CopyRef> earlier;
    for (uint32_t i = 0; i < 60; ++i) {
      Copy copy;
      for (uint32_t k = random() % 3; k > 0 && !earlier.empty(); --k) {
        const CopyRef base = earlier[random() % earlier.size()];
        copy.bases.push_back({page_digest(base.page), base.slot});
      }
      const uint32_t page = random() % 3;
      earlier.push_back({page, uint32_t(pages[page].copies.size())});
      pages[page].copies.push_back(copy);
    }
    EXPECT_FALSE(*is_cyclic(pages));
    // One edge back from the first of a chain to its end closes it.
    const CopyRef last = earlier.back();
    const auto& bases = pages[last.page].copies[last.slot].bases;
    if (bases.empty()) continue;
    const BaseRef first = bases.front();
    const uint32_t page = first.page.bytes[0] - 1u;
    pages[page].copies[first.slot].bases.push_back({page_digest(last.page), last.slot});
    EXPECT_TRUE(*is_cyclic(pages));
  }
}

}  // namespace
}  // namespace cairn
