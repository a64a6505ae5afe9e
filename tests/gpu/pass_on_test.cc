#include "gpu/pass_on.h"

#include <map>

#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/rank_states.h"

namespace cairn::gpu {
namespace {

using namespace std::chrono_literals;

/// What one rank does with its buckets.
struct OneRank {
  size_t fills = 0, takes = 0;
  size_t fails_at_fill = SIZE_MAX, fails_at_take = SIZE_MAX;
  std::vector<Bytes> got;  // by box
};

struct Scene {
  std::vector<WantedBox> boxes;
  std::vector<Bytes> contents;
  BucketPlan plan;
  size_t window = 2;
  std::vector<OneRank> ranks;
};

Scene draw_scene(uint64_t seed, unsigned ranks) {
  std::mt19937_64 random(seed);
  Scene scene;
  for (size_t i = 0; i < 40; ++i) {
    scene.boxes.push_back({random() % 2000, draw_holders(random, ranks, seed % 2 == 0)});
    scene.contents.push_back(random_content(scene.boxes[i].bytes, seed * 100 + i));
  }
  scene.boxes.push_back({1000, {}});  // so that there is a bucket
  for (unsigned rank = 0; rank < ranks; ++rank) scene.boxes.back().ranks.push_back(rank);
  scene.contents.push_back(random_content(1000, seed));
  scene.plan = must(plan_buckets(scene.boxes, ranks, 1024));
  scene.window = 1 + random() % 4;
  scene.ranks.resize(ranks);
  for (OneRank& rank : scene.ranks)
    for (const WantedBox& box : scene.boxes) rank.got.emplace_back(box.bytes);
  return scene;
}

Status run(Scene& scene, Transport& transport) {
  OneRank& mine = scene.ranks[transport.rank()];
  std::vector<OwnStream> owned;
  std::vector<Stream> streams;
  for (size_t i = 0; i < scene.window; ++i) {
    owned.push_back(must(OwnStream::make()));
    streams.push_back(owned.back().stream());
  }
  const OnDevice memory(pass_on_bytes(scene.plan, scene.window));
  PassOn how{streams, memory.span(), {}, {}, device_copies()};
  how.fill = [&](const Bucket& bucket, Stream stream, DeviceSpan room) -> Status {
    if (mine.fills++ == mine.fails_at_fill) return fail(Code::kCorrupt, "pack 7 is damaged");
    for (const BucketPart& part : bucket.parts)
      CAIRN_CHECK(copy_up(stream, room.data + part.place,
                          ByteSpan(scene.contents[part.box]).subspan(part.offset, part.bytes)));
    return {};
  };
  how.take = [&](const Bucket& bucket, Stream stream, DeviceSpan room) -> Status {
    if (mine.takes++ == mine.fails_at_take) return fail(Code::kFailed, "no kernel");
    for (const BucketPart& part : bucket.parts)
      CAIRN_CHECK(copy_down(stream,
                            MutableBytes(mine.got[part.box]).subspan(part.offset, part.bytes),
                            room.data + part.place));
    return {};
  };
  return pass_on(transport, scene.plan, how);
}

void expect_all_came(const Scene& scene) {
  for (size_t box = 0; box < scene.boxes.size(); ++box) {
    if (scene.boxes[box].ranks.size() == 1) continue;
    for (const unsigned rank : scene.boxes[box].ranks)
      ASSERT_EQ(scene.ranks[rank].got[box], scene.contents[box]) << rank << " " << box;
  }
}

TEST(PassOn, EveryBoxComes) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const unsigned ranks = 1 + static_cast<unsigned>(seed % 7);
    Scene scene = draw_scene(seed, ranks);
    FakeGroup group(ranks, {seed, 100});
    for (const Status& status : over_fake(group, [&](auto& each) { return run(scene, each); }))
      must(status);
    expect_all_came(scene);
  }
}

TEST(PassOn, AReaderThatFailsEndsItForAll) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Scene scene = draw_scene(seed, 4);
    const unsigned bad = scene.plan.buckets[seed % scene.plan.buckets.size()].reader;
    scene.ranks[bad].fails_at_fill = seed % 2;
    FakeGroup group(4, {seed, 100});
    const auto ended = over_fake(group, [&](auto& each) { return run(scene, each); });
    size_t of_bad = 0;
    for (const Bucket& bucket : scene.plan.buckets) of_bad += bucket.reader == bad;
    for (unsigned rank = 0; rank < 4; ++rank) {
      if (of_bad <= seed % 2) {
        must(ended[rank]);
        continue;
      }
      ASSERT_FALSE(ended[rank]) << rank;
      EXPECT_EQ(ended[rank].error().code, Code::kCorrupt);
      EXPECT_EQ(ended[rank].error().message,
                rank == bad ? "pack 7 is damaged"
                            : "rank " + std::to_string(bad) + ": pack 7 is damaged");
    }
    EXPECT_LE(scene.ranks[bad].fills, seed % 2 + 1);
  }
}

TEST(PassOn, ARankThatCannotTakeEndsItForAll) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Scene scene = draw_scene(seed, 3);
    scene.ranks[1].fails_at_take = 0;
    FakeGroup group(3, {seed, 100});
    const auto ended = over_fake(group, [&](auto& each) { return run(scene, each); });
    EXPECT_EQ(ended[0].error().message, "rank 1: no kernel");
    EXPECT_EQ(ended[1].error().message, "no kernel");
    EXPECT_EQ(ended[2].error().message, "rank 1: no kernel");
  }
}

TEST(PassOn, WhoeverDiesIsNamed) {
  Scene scene = draw_scene(3, 3);
  const uint64_t calls = scene.plan.buckets.size() + 2;
  for (uint64_t at = 0; at < calls; at += 3) {
    SCOPED_TRACE(at);
    FakeGroup group(3, {1, 0, 60ms, 1, at});
    const auto ended = over_fake(group, [&](auto& each) { return run(scene, each); });
    EXPECT_EQ(ended[1].error().code, Code::kCancelled);
    for (const unsigned rank : {0, 2}) {
      ASSERT_FALSE(ended[rank]);
      EXPECT_EQ(ended[rank].error().code, Code::kUnreachable);
    }
  }
}

TEST(PassOn, OtherPlansAreNamed) {
  Scene scene = draw_scene(4, 3), other = draw_scene(4, 3);
  other.window = scene.window + 1;
  FakeGroup group(3);
  const auto ended =
      over_fake(group, [&](auto& each) { return run(each.rank() == 0 ? other : scene, each); });
  for (const Status& status : ended)
    EXPECT_EQ(status.error().message,
              "the plan of buckets of rank 0 differs from that of ranks 1 and 2");
}

TEST(PassOn, TooLittleMemoryIsSaidToAll) {
  Scene scene = draw_scene(5, 2);
  FakeGroup group(2);
  const Stream stream;
  const auto ended = over_fake(group, [&](Transport& each) {
    const PassOn none{{&stream, 1}, {}, {}, {}, device_copies()};
    return each.rank() == 1 ? pass_on(each, scene.plan, none) : run(scene, each);
  });
  EXPECT_EQ(ended[0].error().code, Code::kUsage);
  EXPECT_EQ(ended[0].error().message.substr(0, 27), "rank 1: buckets under way: ");
}

}  // namespace
}  // namespace cairn::gpu
