#include "lib/chunk_sources.h"

#include <gtest/gtest.h>

#include "tests/store/random_values.h"

namespace cairn {
namespace {

/// By looking at every box.
std::vector<uint32_t> sources_of(const Grid& grid, const std::vector<Box>& boxes, uint64_t chunk) {
  std::vector<uint32_t> sources;
  for (uint32_t i = 0; i < boxes.size(); ++i) {
    if (contains(boxes[i], grid.chunk_box(chunk))) return {i};
    if (intersect(boxes[i], grid.chunk_box(chunk))) sources.push_back(i);
  }
  return sources;
}

void expect_all(const Grid& grid, const std::vector<Box>& boxes) {
  const ChunkSources sources(grid, boxes);
  for (uint64_t chunk = 0; chunk < grid.chunk_count(); ++chunk) {
    const auto found = sources.of(chunk);
    EXPECT_EQ(std::vector<uint32_t>(found.begin(), found.end()), sources_of(grid, boxes, chunk))
        << "chunk " << chunk;
  }
}

TEST(ChunkSources, OneBoxHoldsEverything) {
  expect_all(Grid({100, 100}, 1024), {whole_box({100, 100})});
}

TEST(ChunkSources, RowsAndColumns) {
  const Grid grid({128, 128}, 1024);
  std::vector<Box> rows, columns;
  for (uint64_t i = 0; i < 3; ++i) {
    const uint64_t begin = i * 50, length = std::min<uint64_t>(50, 128 - begin);
    rows.push_back({{begin, 0}, {length, 128}});
    columns.push_back({{0, begin}, {128, length}});
  }
  expect_all(grid, rows);
  expect_all(grid, columns);
}

TEST(ChunkSources, ReplicasAndPartsOfThemInAnyOrder) {
  const Shape shape = {96, 80};
  const Grid grid(shape, 1024);
  RandomValues random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Box> boxes;
    for (int i = 0; i < 6; ++i) {
      Box box;
      for (const uint64_t size : shape) {
        const uint64_t begin = random.below(size);
        box.offsets.push_back(begin);
        box.lengths.push_back(1 + random.below(size - begin));
      }
      boxes.push_back(std::move(box));
    }
    boxes.insert(boxes.begin() + static_cast<ptrdiff_t>(random.below(6)), whole_box(shape));
    expect_all(grid, boxes);
  }
}

TEST(ChunkSources, ThousandsOfWritersTakeTimeByTheirPartsOnly) {
  // One row for each of 20,000 writers: 400 million pairs of box and chunk, were they all tried.
  constexpr uint64_t kRows = 20'000;
  const Grid grid({kRows, 1024}, 1024);
  std::vector<Box> boxes;
  for (uint64_t row = 0; row < kRows; ++row) boxes.push_back({{row, 0}, {1, 1024}});
  const ChunkSources sources(grid, boxes);
  for (uint64_t chunk = 0; chunk < grid.chunk_count(); chunk += 997) {
    const auto found = sources.of(chunk);
    ASSERT_FALSE(found.empty());
    EXPECT_TRUE(intersect(boxes[found.front()], grid.chunk_box(chunk)));
  }
}

}  // namespace
}  // namespace cairn
