#include "store/gc/move_plan.h"

#include <gtest/gtest.h>

#include <random>

namespace cairn {
namespace {

Candidate candidate(FileKind kind, uint64_t bytes, uint64_t needed_bytes) {
  return {{kind, {*SessionId::fresh(), 0}, bytes}, needed_bytes, 0};
}

TEST(ChooseVictims, PacksWithMoreDeadBytesThanTheLimit) {
  const std::vector<Candidate> all = {candidate(FileKind::kPack, 100 * kMiB, 95 * kMiB),
                                      candidate(FileKind::kPack, 100 * kMiB, 90 * kMiB),
                                      candidate(FileKind::kPack, 100 * kMiB, 89 * kMiB),
                                      candidate(FileKind::kPack, 100 * kMiB, 20 * kMiB)};
  const Victims victims = choose_victims(all, {UINT64_MAX, 10});
  ASSERT_EQ(victims.chosen.size(), 2u);
  EXPECT_EQ(victims.chosen[0].needed_bytes, 20 * kMiB) << "what frees most comes first";
  EXPECT_EQ(victims.chosen[1].needed_bytes, 89 * kMiB);
  EXPECT_EQ(victims.smallest_left, UINT64_MAX);
  EXPECT_EQ(choose_victims(all, {UINT64_MAX, 0}).chosen.size(), 4u);
}

TEST(ChooseVictims, TheLimitLetsThroughWhatFitsAndSaysSo) {
  std::vector<Candidate> all;
  for (int i = 0; i < 4; ++i) all.push_back(candidate(FileKind::kPack, 100 * kMiB, 40 * kMiB));
  const Victims victims = choose_victims(all, {100 * kMiB, 10});
  EXPECT_EQ(victims.chosen.size(), 2u);
  EXPECT_EQ(victims.smallest_left, 40 * kMiB);
  EXPECT_TRUE(choose_victims(all, {0, 10}).chosen.empty());
}

TEST(ChooseVictims, ManySmallFilesOfAKindAreMerged) {
  std::vector<Candidate> few, many;
  for (size_t i = 0; i < kSmallFilesMax; ++i) few.push_back(candidate(FileKind::kMeta, kKiB, kKiB));
  EXPECT_TRUE(choose_victims(few, {}).chosen.empty());
  many = few;
  many.push_back(candidate(FileKind::kPack, kKiB, kKiB));
  EXPECT_TRUE(choose_victims(many, {}).chosen.empty()) << "kinds count by themselves";
  many.push_back(candidate(FileKind::kMeta, kKiB, kKiB));
  EXPECT_EQ(choose_victims(many, {}).chosen.size(), kSmallFilesMax + 1);
}

TEST(ChooseVictims, NeverMoreThanTheLimitAndNeverAWholeLargePack) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Candidate> all;
    for (int i = 0; i < 20; ++i) {
      const uint64_t bytes = 1 + random() % (64 * kMiB);
      all.push_back(candidate(FileKind::kPack, bytes, 1 + random() % bytes));
    }
    const MoveLimits limits{random() % (512 * kMiB), double(random() % 100)};
    const Victims victims = choose_victims(all, limits);
    uint64_t needed_bytes = 0;
    for (const Candidate& victim : victims.chosen) {
      needed_bytes += victim.needed_bytes;
      const bool is_half_dead =
          double(victim.dead_bytes()) * 100 > limits.min_dead_percent * double(victim.file.bytes);
      EXPECT_TRUE(is_half_dead || victim.needed_bytes < kSmallFileBytes);
    }
    EXPECT_LE(needed_bytes, limits.bytes_max);
  }
}

}  // namespace
}  // namespace cairn
