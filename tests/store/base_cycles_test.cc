#include "store/base_cycles.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

Locator locator_of(const std::vector<std::vector<BaseRef>>& bases) {
  Locator locator;
  for (const auto& each : bases) {
    Copy copy;
    copy.bases = each;
    locator.copies.push_back(copy);
  }
  return locator;
}

Result<bool> is_cyclic(const std::vector<Locator>& pages) {
  return has_base_cycle(pages.size(), [&](size_t page) -> Result<Locator> { return pages[page]; });
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
    std::vector<BaseRef> earlier;
    for (uint32_t i = 0; i < 60; ++i) {
      Copy copy;
      for (uint32_t k = random() % 3; k > 0 && !earlier.empty(); --k) {
        copy.bases.push_back(earlier[random() % earlier.size()]);
      }
      const uint32_t page = random() % 3;
      earlier.push_back({page, uint32_t(pages[page].copies.size())});
      pages[page].copies.push_back(copy);
    }
    EXPECT_FALSE(*is_cyclic(pages));
    // One edge back from the first of a chain to its end closes it.
    const BaseRef last = earlier.back();
    const auto& bases = pages[last.page].copies[last.slot].bases;
    if (bases.empty()) continue;
    const BaseRef first = bases.front();
    pages[first.page].copies[first.slot].bases.push_back(last);
    EXPECT_TRUE(*is_cyclic(pages));
  }
}

}  // namespace
}  // namespace cairn
