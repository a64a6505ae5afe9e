#include "lib/slabs.h"

#include <gtest/gtest.h>

#include <random>

#include "lib/grid.h"

namespace cairn {
namespace {

TEST(Slabs, FollowEachOtherInTheTensorsBytes) {
  std::mt19937 random(6);
  for (int round = 0; round < 500; ++round) {
    Shape shape(random() % 4);
    for (uint64_t& length : shape) length = random() % 50;
    const uint64_t most = 256 + random() % 4096;
    const auto slabs = cut_slabs(Dtype::kF32, shape, 1024, most);
    ASSERT_TRUE(slabs);
    uint64_t next = 0;
    for (const Box& box : *slabs) {
      // The first element's number is where the last slab ended, and the box is one run.
      uint64_t first = 0;
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        first = first * shape[axis] + box.offsets[axis];
      }
      EXPECT_EQ(first, next) << shape_text(shape) << box.text();
      size_t axis = 0;
      while (axis < shape.size() && box.lengths[axis] == 1) ++axis;
      for (++axis; axis < shape.size(); ++axis) EXPECT_EQ(box.lengths[axis], shape[axis]);
      next += box.elements();
    }
    EXPECT_EQ(next, whole_box(shape).elements()) << shape_text(shape);
  }
}

TEST(Slabs, EndOnChunkEdgesWhereTheyCan) {
  const Shape shape{4096, 1024};
  const Grid grid(shape, uint64_t{1} << 19);
  const auto slabs = cut_slabs(Dtype::kF32, shape, uint64_t{1} << 19, uint64_t{8} << 20);
  ASSERT_TRUE(slabs);
  EXPECT_GT(slabs->size(), 1u);
  std::vector<int> met(grid.chunk_count(), 0);
  for (const Box& box : *slabs) grid.for_each_chunk(box, [&](uint64_t chunk) { ++met[chunk]; });
  for (const int count : met) EXPECT_EQ(count, 1) << "no chunk is read twice";
}

TEST(Slabs, ABoundedSizeForAnyShape) {
  const auto slabs =
      cut_slabs(Dtype::kU8, {uint64_t{1} << 30}, uint64_t{1} << 19, uint64_t{64} << 20);
  ASSERT_TRUE(slabs);
  for (const Box& box : *slabs) EXPECT_LE(box.elements(), uint64_t{64} << 20);
}

}  // namespace
}  // namespace cairn
