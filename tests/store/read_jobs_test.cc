// Joining ranges: near ones share a read, and every range lies in its job.
#include "store/read_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/bytes.h"
#include "tests/store/random_values.h"

namespace cairn {
namespace {

constexpr uint64_t kReadBytesMax = 4 * kMiB;
constexpr uint64_t kGapBytesMax = 256 * kKiB;

FileId pack(uint32_t number) { return {SessionId{}, number}; }

TEST(ReadJobs, JoinWhatLiesNear) {
  const struct {
    const char* what;
    std::vector<PackRange> ranges;
    std::vector<size_t> counts;
  } kTable[] = {
      {"nothing", {}, {}},
      {"one", {{pack(1), 5, 9}}, {1}},
      {"touching", {{pack(1), 0, 9}, {pack(1), 9, 20}}, {2}},
      {"the largest gap", {{pack(1), 0, 9}, {pack(1), 9 + kGapBytesMax, kMiB}}, {2}},
      {"a larger gap", {{pack(1), 0, 9}, {pack(1), 10 + kGapBytesMax, kMiB}}, {1, 1}},
      {"two packs", {{pack(1), 0, 9}, {pack(2), 9, 20}}, {1, 1}},
      {"the longest read", {{pack(1), 8, 16}, {pack(1), 16, 8 + kReadBytesMax}}, {2}},
      {"a longer read", {{pack(1), 8, 16}, {pack(1), 16, 9 + kReadBytesMax}}, {1, 1}},
      {"a long range", {{pack(1), 0, kGiB}}, {1}},
      {"overlapping", {{pack(1), 0, 100}, {pack(1), 50, 70}, {pack(1), 90, 120}}, {3}},
      {"the same twice", {{pack(1), 5, 9}, {pack(1), 5, 9}}, {2}},
      {"empty ones", {{pack(1), 5, 5}, {pack(1), 5, 5}, {pack(1), 5, 9}}, {3}},
  };
  for (const auto& row : kTable) {
    std::vector<size_t> counts;
    for (const ReadJob& job : join_ranges(row.ranges)) counts.push_back(job.count);
    EXPECT_EQ(counts, row.counts) << row.what;
  }
}

TEST(ReadJobs, TakeNoMoreWhenTheyHaveEnough) {
  std::vector<PackRange> ranges;
  for (uint64_t at = 0; at < 100; ++at) ranges.push_back({pack(1), at * 1000, at * 1000 + 1000});
  const auto jobs = join_ranges(ranges, {}, 9500);
  ASSERT_EQ(jobs.size(), 10u);
  for (const ReadJob& job : jobs) EXPECT_EQ(job.count, 10u);
}

std::vector<PackRange> random_ranges(RandomValues& random) {
  std::vector<PackRange> ranges(random.below(200));
  for (PackRange& range : ranges) {
    range.pack = pack(static_cast<uint32_t>(random.below(3)));
    range.begin = random.below(60 * kMiB);
    range.end = range.begin + random.below(random.below(8) == 0 ? 6 * kMiB : 200 * kKiB);
  }
  std::sort(ranges.begin(), ranges.end(), [](const PackRange& a, const PackRange& b) {
    return std::tie(a.pack, a.begin) < std::tie(b.pack, b.begin);
  });
  return ranges;
}

TEST(ReadJobs, CoverEveryRangeInOrder) {
  RandomValues random(1);
  for (int i = 0; i < 300; ++i) {
    const std::vector<PackRange> ranges = random_ranges(random);
    size_t next = 0;
    for (const ReadJob& job : join_ranges(ranges)) {
      ASSERT_EQ(job.first, next);
      ASSERT_GT(job.count, 0u);
      next += job.count;
      ASSERT_EQ(job.bytes.begin, ranges[job.first].begin);
      uint64_t end = job.bytes.begin;
      for (size_t k = job.first; k < next; ++k) {
        ASSERT_EQ(ranges[k].pack, job.bytes.pack);
        ASSERT_LE(ranges[k].begin, std::max(end, job.bytes.begin) + kGapBytesMax);
        end = std::max(end, ranges[k].end);
      }
      ASSERT_EQ(job.bytes.end, end);
      ASSERT_TRUE(job.count == 1 || end - job.bytes.begin <= kReadBytesMax);
    }
    ASSERT_EQ(next, ranges.size());
  }
}

TEST(ReadJobs, NeighboursThatFitAreNeverLeftApart) {
  RandomValues random(2);
  for (int i = 0; i < 300; ++i) {
    const std::vector<PackRange> ranges = random_ranges(random);
    const std::vector<ReadJob> jobs = join_ranges(ranges);
    for (size_t k = 1; k < jobs.size(); ++k) {
      const PackRange& before = jobs[k - 1].bytes;
      const PackRange& range = ranges[jobs[k].first];
      const bool fits = range.pack == before.pack && range.begin <= before.end + kGapBytesMax &&
                        std::max(before.end, range.end) - before.begin <= kReadBytesMax;
      ASSERT_FALSE(fits) << "jobs " << k - 1 << " and " << k;
    }
  }
}

TEST(ReadJobs, SomeThreadsWaitForTheDisk) {
  EXPECT_EQ(reading_threads(3), 3u);
  EXPECT_GT(reading_threads(0), reading_threads(1));
}

}  // namespace
}  // namespace cairn
