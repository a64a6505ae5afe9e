#include "lib/stretches.h"

#include <gtest/gtest.h>

#include <set>

namespace cairn {
namespace {

/// The place of a box's first element in the row-major order of a shape, and how many follow.
std::pair<uint64_t, uint64_t> span_of(const Box& box, const Shape& shape) {
  uint64_t first = 0;
  for (size_t axis = 0; axis < box.rank(); ++axis) {
    first = first * shape[axis] + box.offsets[axis];
  }
  return {first, box.elements()};
}

TEST(Stretches, FollowEachOtherToTheEnd) {
  for (const Shape& shape : {Shape{1000}, Shape{7, 33}, Shape{3, 5, 40}, Shape{1, 1, 900, 1},
                             Shape{2, 3, 4, 5}, Shape{}, Shape{1}}) {
    for (const uint64_t bytes : {1, 8, 100, 640, 1 << 20}) {
      const Stretches stretches(whole_box(shape), 4, bytes);
      uint64_t reached = 0;
      for (uint64_t number = 0; number < stretches.count(); ++number) {
        const auto [first, count] = span_of(stretches.at(number), shape);
        EXPECT_EQ(first, reached) << shape_text(shape) << " " << bytes;
        EXPECT_LE(4 * count, std::max<uint64_t>(bytes, 4));
        reached = first + count;
      }
      EXPECT_EQ(reached, whole_box(shape).elements());
    }
  }
}

TEST(Stretches, LieInTheirBox) {
  const Box box{{10, 20}, {6, 5}};
  const Stretches stretches(box, 2, 20);
  EXPECT_EQ(stretches.count(), 3);
  EXPECT_EQ(stretches.at(1), (Box{{12, 20}, {2, 5}}));
  EXPECT_EQ(Stretches(Box{{0, 0}, {0, 5}}, 4, 100).count(), 0);
}

TEST(Stretches, EveryOneGetsItsTurnWhateverTheDistances) {
  for (const uint64_t count : {1, 2, 10, 97, 1024}) {
    for (const uint64_t distance : {1, 2, 10, 64, 1000}) {
      std::set<uint64_t> seen;
      for (uint64_t turn = 0; turn < 40 * count; ++turn) {
        const uint64_t number = stretch_of_turn(turn * distance, count);
        ASSERT_LT(number, count);
        seen.insert(number);
        const bool is_second_round = distance == 1 && turn + 1 == 2 * count;
        if (is_second_round) EXPECT_GE(seen.size() * 10, count * 9);
      }
      EXPECT_EQ(seen.size(), count) << distance;
    }
  }
}

}  // namespace
}  // namespace cairn
