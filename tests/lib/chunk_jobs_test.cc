// Jobs have every chunk once, in order, and neither too many bytes nor too many chunks.
#include "lib/chunk_jobs.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

class ChunkJobs : public ::testing::Test {
 protected:
  static constexpr uint64_t kJobBytes = 2 * kMiB, kJobChunksMost = 256;

  /// Tensors of F32 with these numbers of elements.
  void plan(const std::vector<uint64_t>& elements) {
    for (const uint64_t count : elements) {
      const std::string name = "t" + std::to_string(100 + request_.tensors.size());
      request_.tensors.push_back({name, Dtype::kF32, {count}, {{0}, {count}}, memory_.data()});
    }
    Config config;
    config.chunk_elements = 1 << 16;
    auto made = plan_save(request_, config);
    ASSERT_TRUE(made) << made.error().message;
    plan_ = *std::move(made);
    groups_ = group_items(plan_);
    for (const SaveGroup& group : groups_) all_.push_back(&group);
  }

  Bytes memory_ = Bytes(16 * kMiB);
  SaveRequest request_;
  SavePlan plan_;
  std::vector<SaveGroup> groups_;
  std::vector<const SaveGroup*> all_;
};

TEST_F(ChunkJobs, HaveEveryChunkOnceInOrder) {
  plan({4 << 20, 100, 3000, 1 << 20, 7});
  std::vector<std::pair<const SaveGroup*, uint64_t>> seen, wanted;
  for (const SaveGroup* group : all_) {
    for (uint64_t chunk = 0; chunk < group->chunks; ++chunk) wanted.emplace_back(group, chunk);
  }
  for (const ChunkJob& job : make_jobs(plan_, all_)) {
    for (const ChunkRun& run : job) {
      for (uint64_t i = 0; i < run.count; ++i) seen.emplace_back(run.group, run.first + i);
    }
  }
  EXPECT_EQ(seen, wanted);
}

TEST_F(ChunkJobs, AreSomeMegabytesEach) {
  plan({4 << 20});
  const auto jobs = make_jobs(plan_, all_);
  EXPECT_GE(jobs.size(), 4 * kMiB * 4 / kJobBytes - 1);
  for (const ChunkJob& job : jobs) {
    ASSERT_EQ(job.size(), 1u);
    EXPECT_LE(job[0].count * (4 << 16), kJobBytes + (4 << 16));
  }
}

TEST_F(ChunkJobs, OfManySmallTensorsAreNotTooLong) {
  plan(std::vector<uint64_t>(600, 10));
  const auto jobs = make_jobs(plan_, all_);
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].size(), kJobChunksMost);
  EXPECT_TRUE(make_jobs(plan_, {}).empty());
}

}  // namespace
}  // namespace cairn
