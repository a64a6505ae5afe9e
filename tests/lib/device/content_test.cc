// What a box of a device's memory holds is found as rows, or put together from boxes.
#include "lib/device/carry.h"

#include "tests/gpu/kernel_fixture.h"

namespace cairn {
namespace {

SourceBox box_of(const gpu::OnDevice& memory, const std::vector<uint64_t>& lengths,
                 const std::vector<int64_t>& strides) {
  return {{std::vector<uint64_t>(lengths.size()), lengths}, memory.data(), strides, 0, 0};
}

/// What both ways of bringing it to the host give.
Bytes brought(const Content& content) {
  Bytes carried(content.bytes, 0xee);
  StagingOptions options;
  options.device_bytes = 0;  // copies need none
  Lane lane = gpu::must(Lane::make(0, options));
  const gpu::Stream caller;
  gpu::must(lane.begin({&caller, 1}));
  gpu::must(carry({{0, &lane}}, content, carried));
  const gpu::OnDevice together(content.bytes);
  gpu::must(gpu::copy_boxes({}, copies_to(content, together.data())));
  EXPECT_EQ(together.content(), carried);
  return carried;
}

TEST(Content, RowsAreATile) {
  const gpu::OnDevice memory{ByteSpan(gpu::random_content(4096, 1))};
  const Content whole = content_of(box_of(memory, {8, 64}, {128, 2}), 2);
  ASSERT_TRUE(whole.tile);
  EXPECT_EQ(whole.tile->rows, 1u);
  EXPECT_EQ(whole.device, 0u);
  const Content rows = content_of(box_of(memory, {8, 10}, {128, 2}), 2);
  ASSERT_TRUE(rows.tile);
  EXPECT_EQ(rows.tile->rows, 8u);
  EXPECT_EQ(rows.tile->row_bytes, 20u);
  const Bytes all = memory.content(), got = brought(rows);
  EXPECT_TRUE(std::equal(got.begin(), got.begin() + 20, all.begin()));
  EXPECT_TRUE(std::equal(got.begin() + 20, got.begin() + 40, all.begin() + 128));
}

TEST(Content, WhatIsTransposedIsNone) {
  const gpu::OnDevice memory{ByteSpan(gpu::random_content(4096, 2))};
  const Content content = content_of(box_of(memory, {5, 7, 9}, {2, 100, 10}), 2);
  EXPECT_FALSE(content.tile);
  const Bytes all = memory.content(), got = brought(content);
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 7; ++j) {
      for (size_t k = 0; k < 9; ++k) {
        const size_t from = 2 * i + 100 * j + 10 * k, to = 2 * ((i * 7 + j) * 9 + k);
        EXPECT_EQ(got[to], all[from]);
        EXPECT_EQ(got[to + 1], all[from + 1]);
      }
    }
  }
}

TEST(Content, ItemsOfThreeBytesAreTakenToo) {
  const gpu::OnDevice memory{ByteSpan(gpu::random_content(4096, 3))};
  const Content content = content_of(box_of(memory, {4, 6}, {3, 12}), 3);
  EXPECT_FALSE(content.tile);
  const Bytes all = memory.content(), got = brought(content);
  for (size_t i = 0; i < 24; ++i) {
    const size_t from = 3 * (i / 6) + 12 * (i % 6);
    for (size_t byte = 0; byte < 3; ++byte) EXPECT_EQ(got[3 * i + byte], all[from + byte]);
  }
}

}  // namespace
}  // namespace cairn
