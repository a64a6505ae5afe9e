#include "gpu/bucket_plan.h"

#include <map>

#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/rank_states.h"

namespace cairn::gpu {
namespace {

std::vector<WantedBox> draw_boxes(std::mt19937_64& random, unsigned ranks, bool is_nested) {
  std::vector<WantedBox> boxes(random() % 60);
  for (WantedBox& box : boxes)
    box = {random() % 4 == 0 ? random() % 5000 : random() % 200,
           draw_holders(random, ranks, is_nested)};
  return boxes;
}

TEST(BucketPlan, BringsEveryByteOnce) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const unsigned ranks = 1 + static_cast<unsigned>(random() % 8);
    const auto boxes = draw_boxes(random, ranks, seed % 2 == 0);
    const uint64_t most = 16 + random() % 3000;
    const BucketPlan plan = must(plan_buckets(boxes, ranks, most));
    std::vector<uint64_t> come(boxes.size()), read(ranks);
    std::vector<size_t> parts(boxes.size());
    for (const Bucket& bucket : plan.buckets) {
      uint64_t end = 0;
      ASSERT_LE(bucket.bytes, most);
      ASSERT_FALSE(bucket.parts.empty());
      for (const BucketPart& part : bucket.parts) {
        ASSERT_EQ(plan.readers[part.box], bucket.reader);
        ASSERT_EQ(boxes[part.box].ranks, bucket.ranks);
        ASSERT_EQ(part.offset, come[part.box]);
        ASSERT_EQ(part.place, round_up(end, BucketPlan::kAlignment));
        come[part.box] += part.bytes;
        end = part.place + part.bytes;
        ++parts[part.box];
      }
      ASSERT_EQ(bucket.bytes, end);
    }
    for (size_t box = 0; box < boxes.size(); ++box) {
      const auto& wanting = boxes[box].ranks;
      ASSERT_TRUE(std::count(wanting.begin(), wanting.end(), plan.readers[box]));
      ASSERT_EQ(come[box], wanting.size() > 1 ? boxes[box].bytes : 0);
      ASSERT_EQ(parts[box] > 0, wanting.size() > 1);
      ASSERT_TRUE(parts[box] <= 1 || boxes[box].bytes > most / 16 * 16);
      read[plan.readers[box]] += boxes[box].bytes;
    }
    ASSERT_EQ(read, plan.bytes);
    ASSERT_EQ(digest_of(plan), digest_of(must(plan_buckets(boxes, ranks, most))));
  }
}

TEST(BucketPlan, ReadersTakeTurns) {
  const std::vector<WantedBox> boxes(6, WantedBox{64, {0, 1}});
  const BucketPlan plan = must(plan_buckets(boxes, 2, 64));
  std::vector<unsigned> readers;
  for (const Bucket& bucket : plan.buckets) readers.push_back(bucket.reader);
  EXPECT_EQ(readers, (std::vector<unsigned>{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(plan.bytes, (std::vector<uint64_t>{192, 192}));
}

TEST(BucketPlan, SaysWhatIsMalformed) {
  const auto message = [](std::vector<WantedBox> boxes, uint64_t most = 64) {
    return plan_buckets(boxes, 2, most).error().message;
  };
  EXPECT_EQ(message({{1, {}}}), "no rank wants box 0");
  EXPECT_EQ(message({{1, {0}}, {1, {1, 2}}}), "ranks [1, 2] of box 1 are no ranks of 2 in order");
  EXPECT_EQ(message({{1, {1, 1}}}), "ranks [1, 1] of box 0 are no ranks of 2 in order");
  EXPECT_EQ(message({}, 15), "buckets of 15 bytes");
  EXPECT_EQ(message({{INT64_MAX, {0}}, {1, {0}}}), "boxes up to 1 have more than 2^63 bytes");
}

}  // namespace
}  // namespace cairn::gpu
