#include "store/remote/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/outcome.h"

namespace cairn::remote {
namespace {

constexpr uint64_t kBlock = ReadAhead::kBlockBytes;

/// A file of pseudo-random bytes, which counts what is fetched of it.
struct Source {
  explicit Source(size_t bytes) : content(bytes) {
    std::mt19937 random(3);
    for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  }
  Result<size_t> fetch(uint64_t offset, MutableBytes out) {
    ++fetches;
    if (fails) return fail(Code::kUnreachable, "gone");
    if (offset >= content.size()) return 0;
    const size_t count = std::min<size_t>(out.size(), content.size() - offset);
    std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  Bytes content;
  std::atomic<int> fetches{0};
  std::atomic<bool> fails{false};
  ReadAhead ahead{[this](uint64_t offset, MutableBytes out) { return fetch(offset, out); }};
};

void expect_read(Source& source, uint64_t offset, size_t bytes) {
  Bytes out(bytes);
  const auto count = source.ahead.read(offset, out);
  ASSERT_TRUE(succeeds(count));
  const size_t left = source.content.size() - std::min<size_t>(offset, source.content.size());
  ASSERT_EQ(*count, std::min(bytes, left)) << offset;
  ASSERT_TRUE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(*count),
                         source.content.begin() + static_cast<ptrdiff_t>(std::min<size_t>(
                                                      offset, source.content.size()))));
}

TEST(ReadAhead, NeighboursCostOneFetch) {
  Source source(3 * kBlock + 100);
  for (uint64_t offset = 0; offset + 1000 < kBlock; offset += 1000)
    expect_read(source, offset, 1000);
  EXPECT_EQ(source.fetches, 1);
}

TEST(ReadAhead, AnyRangeIsRight) {
  Source source(5 * kBlock + 777);
  std::mt19937_64 random(11);
  for (int i = 0; i < 300; ++i) {
    expect_read(source, random() % (6 * kBlock), random() % (i % 10 == 0 ? 3 * kBlock : 5000));
  }
  for (const uint64_t at : {uint64_t{0}, kBlock - 1, kBlock, 5 * kBlock + 776, 5 * kBlock + 777}) {
    for (const size_t bytes :
         {size_t{0}, size_t{1}, size_t{2}, size_t{kBlock}, size_t{kBlock + 1}}) {
      expect_read(source, at, bytes);
    }
  }
}

TEST(ReadAhead, EndsWithABlock) {
  Source source(2 * kBlock);
  expect_read(source, 2 * kBlock - 10, 100);
  expect_read(source, 2 * kBlock, 100);
}

TEST(ReadAhead, LongReadsGoPast) {
  Source source(4 * kBlock);
  expect_read(source, 5, 2 * kBlock);
  EXPECT_EQ(source.fetches, 1);
}

TEST(ReadAhead, KeepsAFewBlocks) {
  Source source(10 * kBlock);
  for (uint64_t i = 0; i < ReadAhead::kBlocksMax; ++i) expect_read(source, i * kBlock, 10);
  for (uint64_t i = 0; i < ReadAhead::kBlocksMax; ++i) expect_read(source, i * kBlock + 99, 10);
  EXPECT_EQ(source.fetches, ReadAhead::kBlocksMax);
  expect_read(source, 9 * kBlock, 10);
  expect_read(source, 0, 10);
  EXPECT_EQ(source.fetches, ReadAhead::kBlocksMax + 2);
}

TEST(ReadAhead, AnErrorIsNotKept) {
  Source source(kBlock);
  source.fails = true;
  Bytes out(10);
  EXPECT_TRUE(fails_with(Code::kUnreachable, source.ahead.read(0, out)));
  source.fails = false;
  expect_read(source, 0, 10);
}

TEST(ReadAhead, ThreadsFetchABlockOnce) {
  Source source(kBlock);
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 8; ++i) {
    threads.emplace_back([&source, i] {
      for (uint64_t k = 0; k < 50; ++k) expect_read(source, i * 1000 + k, 100);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(source.fetches, 1);
}

}  // namespace
}  // namespace cairn::remote
