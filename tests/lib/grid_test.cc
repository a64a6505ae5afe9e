#include "lib/grid.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

constexpr uint64_t kChunk = 1024;

Shape random_shape(std::mt19937_64& random) {
  Shape shape(random() % 5);
  for (uint64_t& length : shape) length = random() % 40;
  return shape;
}

/// The linear numbers of a box's elements, marked in `seen`.
void mark(const Shape& shape, const Box& box, std::vector<int>& seen) {
  std::vector<uint64_t> at = box.offsets;
  for (uint64_t left = box.elements(); left > 0; --left) {
    uint64_t number = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) number = number * shape[axis] + at[axis];
    ++seen[number];
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (++at[axis] < box.offsets[axis] + box.lengths[axis]) break;
      at[axis] = box.offsets[axis];
    }
  }
}

TEST(Grid, TilesEveryShapeExactlyOnce) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const Shape shape = random_shape(random);
    const Grid grid(shape, kChunk);
    std::vector<int> seen(whole_box(shape).elements(), 0);
    for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
      const Box box = grid.chunk_box(chunk);
      EXPECT_FALSE(box.is_empty()) << shape_text(shape) << box.text();
      EXPECT_LE(box.elements(), kChunk) << shape_text(shape);
      mark(shape, box, seen);
    }
    for (const int count : seen) ASSERT_EQ(count, 1) << shape_text(shape);
  }
}

TEST(Grid, EmptyAndScalarShapes) {
  EXPECT_EQ(Grid({}, kChunk).chunk_count(), 1u);
  EXPECT_EQ(Grid({0}, kChunk).chunk_count(), 0u);
  EXPECT_EQ(Grid({5, 0, uint64_t{1} << 62}, kChunk).chunk_count(), 0u);
  EXPECT_EQ(Grid(Shape(16, 1), kChunk).chunk_count(), 1u);
}

TEST(Grid, SizesNearTheLimitDoNotOverflow) {
  for (const Shape& shape :
       {Shape{(uint64_t{1} << 63) - 1}, Shape{uint64_t{1} << 31, uint64_t{1} << 31},
        Shape{3, uint64_t{1} << 61}, Shape{(uint64_t{1} << 62) + 1, 1, 1}}) {
    const Grid grid(shape, uint64_t{1} << 19);
    const Box last = grid.chunk_box(grid.chunk_count() - 1);
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      EXPECT_EQ(last.offsets[axis] + last.lengths[axis], shape[axis]) << shape_text(shape);
    }
    EXPECT_LE(last.elements(), uint64_t{1} << 19);
  }
}

TEST(Grid, UsualCutsMeetChunkEdges) {
  // Rows cut for up to 8 ranks, columns for up to 4: no chunk lies on both sides of a cut.
  const Shape shape{4096, 4096};
  const Grid grid(shape, uint64_t{1} << 19);
  EXPECT_EQ(grid.parts(), (std::vector<uint64_t>{8, 4}));
  for (const size_t axis : {0, 1}) {
    for (uint64_t ranks = 2; ranks <= grid.parts()[axis]; ranks *= 2) {
      const uint64_t length = shape[axis] / ranks;
      for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
        const Box box = grid.chunk_box(chunk);
        const uint64_t last = box.offsets[axis] + box.lengths[axis] - 1;
        EXPECT_EQ(box.offsets[axis] / length, last / length) << ranks << " " << box.text();
      }
    }
  }
}

TEST(Grid, RunsAreLong) {
  for (const Shape& shape : {Shape{4096, 4096}, Shape{50257, 768}, Shape{8, 1024, 4096}}) {
    const Grid grid(shape, uint64_t{1} << 19);
    EXPECT_GE(grid.chunk_box(0).lengths.back(), 512u) << shape_text(shape);
  }
}

TEST(Grid, ForEachChunkVisitsThoseThatMeetTheBoxInOrder) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 300; ++round) {
    const Shape shape = random_shape(random);
    const Grid grid(shape, kChunk);
    Box box = whole_box(shape);
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      box.offsets[axis] = shape[axis] == 0 ? 0 : random() % shape[axis];
      box.lengths[axis] = random() % (shape[axis] - box.offsets[axis] + 1);
    }
    std::vector<uint64_t> expected, visited;
    for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
      if (!box.is_empty() && intersect(grid.chunk_box(chunk), box)) expected.push_back(chunk);
    }
    grid.for_each_chunk(box, [&](uint64_t chunk) { visited.push_back(chunk); });
    EXPECT_EQ(visited, expected) << shape_text(shape) << " " << box.text();
  }
}

}  // namespace
}  // namespace cairn
