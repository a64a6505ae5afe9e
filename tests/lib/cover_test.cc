#include "lib/cover.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

TEST(Cover, ExactCoversHaveNoHoleAndNoOverlap) {
  EXPECT_FALSE(check_cover({4, 4}, {{{0, 0}, {4, 4}}}).hole);
  const CoverReport report =
      check_cover({4, 6}, {{{0, 0}, {2, 6}}, {{2, 0}, {2, 3}}, {{2, 3}, {2, 3}}});
  EXPECT_FALSE(report.hole);
  EXPECT_TRUE(report.overlaps.empty());
  EXPECT_FALSE(check_cover({}, {{{}, {}}}).hole);
  EXPECT_FALSE(check_cover({0, 3}, {}).hole);
}

TEST(Cover, HolesAreNamed) {
  EXPECT_EQ(*check_cover({4}, {}).hole, (Box{{0}, {4}}));
  EXPECT_TRUE(check_cover({}, {}).hole);
  const auto hole = check_cover({4, 4}, {{{0, 0}, {4, 3}}}).hole;
  ASSERT_TRUE(hole);
  EXPECT_EQ(*hole, (Box{{0, 3}, {4, 1}}));
}

TEST(Cover, OverlapsAreNamedByPairs) {
  const CoverReport report = check_cover({10}, {{{0}, {6}}, {{4}, {6}}, {{9}, {1}}});
  EXPECT_FALSE(report.hole);
  EXPECT_EQ(report.overlaps, (std::vector<std::pair<size_t, size_t>>{{0, 1}, {1, 2}}));
}

TEST(Cover, AgreesWithCountingElements) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const Shape shape{1 + random() % 6, 1 + random() % 6};
    std::vector<Box> boxes;
    std::vector<int> counts(shape[0] * shape[1], 0);
    for (size_t i = random() % 6; i > 0; --i) {
      const uint64_t y = random() % shape[0], x = random() % shape[1];
      const Box box{{y, x}, {1 + random() % (shape[0] - y), 1 + random() % (shape[1] - x)}};
      for (uint64_t a = y; a < y + box.lengths[0]; ++a) {
        for (uint64_t b = x; b < x + box.lengths[1]; ++b) ++counts[a * shape[1] + b];
      }
      boxes.push_back(box);
    }
    const CoverReport report = check_cover(shape, boxes);
    const bool has_hole = std::count(counts.begin(), counts.end(), 0) > 0;
    EXPECT_EQ(report.hole.has_value(), has_hole);
    if (report.hole) {
      for (uint64_t a = 0; a < report.hole->lengths[0]; ++a) {
        EXPECT_EQ(counts[(report.hole->offsets[0] + a) * shape[1] + report.hole->offsets[1]], 0);
      }
    }
    size_t pairs = 0;
    for (size_t a = 0; a < boxes.size(); ++a) {
      for (size_t b = a + 1; b < boxes.size(); ++b) pairs += intersect(boxes[a], boxes[b]) ? 1 : 0;
    }
    EXPECT_EQ(report.overlaps.size(), pairs);
  }
}

TEST(MakeUp, TakesAnyBoxes) {
  const Box whole{{4, 0}, {4, 8}};
  EXPECT_TRUE(make_up({whole}, whole));
  EXPECT_TRUE(make_up({{{4, 0}, {4, 3}}, {{4, 3}, {4, 5}}}, whole));
  EXPECT_TRUE(make_up({{{}, {}}}, {{}, {}}));
  EXPECT_FALSE(make_up({}, whole));
  EXPECT_FALSE(make_up({{{4, 0}, {4, 3}}}, whole)) << "a hole";
  EXPECT_FALSE(make_up({{{4, 0}, {4, 4}}, {{4, 3}, {4, 5}}}, whole)) << "an overlap";
  EXPECT_FALSE(make_up({{{0, 0}, {4, 8}}}, whole)) << "outside";
  EXPECT_FALSE(make_up({{{4}, {4}}}, whole)) << "another rank";
  // An end past 2^64 comes out small.
  EXPECT_FALSE(make_up({{{UINT64_MAX - 3, 0}, {4, 8}}}, whole));
  EXPECT_FALSE(make_up({{{UINT64_MAX - 1, 0}, {8, 4}}}, whole));
}

}  // namespace
}  // namespace cairn
