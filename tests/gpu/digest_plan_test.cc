#include "gpu/digest_plan.h"

#include <numeric>

#include "base/digest.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

/// A tile by its place in memory that both sides have.
struct Cut {
  uint64_t offset = 0, row_bytes = 0;
  int64_t stride_bytes = 0;
  uint64_t rows = 1;
};

std::vector<Digest> digests_of(const OnDevice& memory, std::span<const Cut> cuts, Share share) {
  std::vector<Tile> tiles;
  for (const Cut& cut : cuts) {
    tiles.push_back({memory.data() + cut.offset, cut.row_bytes, cut.stride_bytes, cut.rows});
  }
  const DigestPlan plan = must(DigestPlan::make(tiles));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes());
  const OnDevice out(32 * tiles.size());
  must(digest({}, plan, image.span(), workspace.span(), out.span(), share));
  std::vector<Digest> digests(tiles.size());
  const Bytes bytes = out.content();
  std::memcpy(digests.data(), bytes.data(), bytes.size());
  return digests;
}

void expect_equal(ByteSpan content, std::span<const Cut> cuts, Share share = {}) {
  const OnDevice memory(content);
  const auto digests = digests_of(memory, cuts, share);
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Cut& cut = cuts[i];
    EXPECT_EQ(
        digests[i].hex(),
        blake3_rows(content.data() + cut.offset, cut.row_bytes, cut.stride_bytes, cut.rows).hex())
        << cut.rows << " rows of " << cut.row_bytes << ", " << cut.stride_bytes << " apart, at "
        << cut.offset;
  }
}

TEST(DeviceDigest, OfEveryLengthAroundBlocksAndLeaves) {
  const Bytes content = random_content(6000, 1);
  std::vector<Cut> cuts;
  for (uint64_t bytes = 0; bytes <= 200; ++bytes) cuts.push_back({0, bytes});
  for (uint64_t bytes = 1000; bytes <= 1100; ++bytes) cuts.push_back({16, bytes});
  for (uint64_t bytes = 2040; bytes <= 2060; ++bytes) cuts.push_back({3, bytes});
  for (uint64_t bytes = 4090; bytes <= 4100; ++bytes) cuts.push_back({2, bytes});
  in_any_order([&] { expect_equal(content, cuts); });
}

TEST(DeviceDigest, OfTreesOfEveryShape) {
  const Bytes content = random_content(300 * 1024 + 100, 2);
  std::vector<Cut> cuts;
  for (const uint64_t leaves : {1, 2, 3, 5, 15, 16, 17, 31, 33, 64, 65, 255, 256, 257, 273, 300}) {
    for (const uint64_t more : {0, 1, 99}) cuts.push_back({0, leaves * 1024 + more});
  }
  expect_equal(content, cuts);
}

TEST(DeviceDigest, OfTheLengthsOfChunks) {
  const Bytes content = random_content((1 << 20) + 1, 3);
  const std::vector<Cut> cuts = {{0, 65535}, {0, 65536}, {0, 65537}, {0, 1 << 20}, {1, 1 << 20}};
  expect_equal(content, cuts);
}

TEST(DeviceDigest, OfRowsWhereTheyLie) {
  const Bytes content = random_content(512 * 1024, 4);
  const std::vector<Cut> cuts = {
      {0, 1024, 4096, 100},     // whole leaves
      {1024, 1024, 4096, 100},  // the same beside them
      {16, 512, 2048, 90},      // leaves that cross rows
      {2, 1000, 1002, 70},      // rows of odd places
      {1, 7, 9, 1000},          // rows shorter than a word
      {8, 2, 128, 3000},        // a column of a matrix
      {400 * 1024, 1024, -4096, 100},
      {5, 100, 0, 50},         // one row many times
      {0, 100514, 100514, 3},  // no gaps
      {3, 0, 17, 5},           // empty rows
      {3, 17, 5, 0},           // no rows
  };
  in_any_order([&] { expect_equal(content, cuts); });
}

TEST(DeviceDigest, OfRandomTiles) {
  std::mt19937_64 random(5);
  auto draw = [&](uint64_t below) { return random() % below; };
  const Bytes content = random_content(256 * 1024, 5);
  std::vector<Cut> cuts;
  while (cuts.size() < 150) {
    const uint64_t unit = uint64_t{1} << draw(5);
    Cut cut{draw(1000) * unit, (1 + draw(3000 / unit)) * unit, 0, 1 + draw(40)};
    cut.stride_bytes = static_cast<int64_t>(cut.row_bytes + draw(100) * unit);
    const uint64_t end = cut.offset + cut.rows * static_cast<uint64_t>(cut.stride_bytes);
    if (end <= content.size()) cuts.push_back(cut);
  }
  in_any_order([&] { expect_equal(content, cuts); });
}

TEST(DeviceDigest, OnFewMultiprocessors) {
  const Bytes content = random_content(100 * 1024, 6);
  std::vector<Cut> cuts;
  for (uint64_t i = 0; i < 50; ++i) cuts.push_back({i * 1024, 50 * 1024 - i});
  expect_equal(content, cuts, Share{1});
  expect_equal(content, cuts, Share{2});
}

#ifndef CAIRN_SIMT  // it takes a minute there
TEST(DeviceDigest, OfMoreThanFourGibibytes) {
  // One row over and over: 2^32 bytes and more need no such memory.
  const std::vector<Cut> cuts = {{0, 1 << 20, 0, 4097}};
  expect_equal(random_content(1 << 20, 8), cuts);
}
#endif

TEST(DeviceDigest, OfNothing) {
  expect_equal(Bytes(16), {});
  const std::vector<Cut> cuts = {{0, 0}, {0, 0, 0, 0}};
  expect_equal(Bytes(16), cuts);
}

TEST(DeviceDigest, OfEmptyTilesReadsNoMemory) {
  // The addresses of empty tensors may be anything.
  std::vector<Tile> tiles;
  for (const uintptr_t address : {0, 1, 4, 8, 12, 16}) {
    tiles.push_back({reinterpret_cast<uint8_t*>(address), 0});
  }
  const DigestPlan plan = must(DigestPlan::make(tiles));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes()), out(32 * tiles.size());
  must(digest({}, plan, image.span(), workspace.span(), out.span()));
  const Bytes digests = out.content();
  for (size_t i = 0; i < tiles.size(); ++i) {
    EXPECT_EQ(to_hex(ByteSpan(digests).subspan(32 * i, 32)), blake3({}).hex());
  }
}

TEST(DeviceDigest, LoadsItsKernelsAndEnqueuesNothing) {
  const OnDevice memory(random_content(4096, 9));
  const DigestPlan plan = must(DigestPlan::make(std::vector{Tile{memory.data(), 4096}}));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes());
  const OnDevice out(Bytes(32, 0xEE)), zeros(Bytes(32, 0xEE));
  {
    const KernelLoading loading;
    must(digest({}, plan, image.span(), workspace.span(), out.span()));
    must(fill_zeros({}, zeros.data(), 32));
  }
  EXPECT_EQ(out.content(), Bytes(32, 0xEE));
  EXPECT_EQ(zeros.content(), Bytes(32, 0xEE));
  must(digest({}, plan, image.span(), workspace.span(), out.span()));
  EXPECT_NE(out.content(), Bytes(32, 0xEE));
}

TEST(DeviceDigest, RefusesWhatDoesNotFit) {
  const Tile huge{nullptr, uint64_t{1} << 40, 0, uint64_t{1} << 40};
  EXPECT_EQ(DigestPlan::make(std::vector{huge}).error().code, Code::kUsage);
  const Tile far{nullptr, 1, INT64_MAX, 1 << 20};
  EXPECT_EQ(DigestPlan::make(std::vector{far}).error().code, Code::kUsage);
  uint8_t byte = 0;
  EXPECT_EQ(DigestPlan::make(std::vector{Tile{nullptr, 1}}).error().code, Code::kUsage);
  const Tile large{&byte, uint64_t{1} << 49, 0, 1};
  EXPECT_TRUE(DigestPlan::make(std::vector{large}));
  EXPECT_EQ(DigestPlan::make(std::vector{large, large, large}).error().code, Code::kUsage);

  const Bytes content = random_content(4096, 7);
  const OnDevice memory(content);
  const DigestPlan plan = must(DigestPlan::make(std::vector{Tile{memory.data(), 4096}}));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes()), out(32);
  const auto refused = [&](DeviceSpan image_span, DeviceSpan workspace_span, DeviceSpan out_span) {
    const Status status = digest({}, plan, image_span, workspace_span, out_span);
    return !status && status.error().code == Code::kUsage;
  };
  EXPECT_TRUE(refused({image.data(), plan.image().size() - 1}, workspace.span(), out.span()));
  EXPECT_TRUE(refused(image.span(), {workspace.data(), 31}, out.span()));
  EXPECT_TRUE(refused(image.span(), workspace.span(), {out.data(), 31}));
  EXPECT_TRUE(refused(image.span(), workspace.span(), {out.data() + 4, 32}));
}

}  // namespace
}  // namespace cairn::gpu
