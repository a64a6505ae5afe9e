#include "gpu/memory_transport.h"

#include "gpu/pass_on.h"
#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

using namespace std::chrono_literals;

DeviceSpan span_of(Bytes& bytes) { return {bytes.data(), bytes.size()}; }

TEST(MemoryTransport, BroadcastsWhileTheNextIsFilled) {
  for (const uint64_t bytes : {0, 1, 12'345}) {
    FakeGroup group(3, {bytes, 300});
    const auto ended = over_memory(group, [&](Transport& transport) -> Status {
      int names[2] = {};
      for (unsigned root = 0; root < 3; ++root) {
        Bytes one = random_content(bytes, transport.rank() + 1);
        Bytes two = random_content(bytes / 2, transport.rank() + 10);
        CAIRN_CHECK(transport.broadcast({&names[0]}, span_of(one), root));
        CAIRN_CHECK(transport.broadcast({&names[1]}, span_of(two), (root + 1) % 3));
        CAIRN_CHECK(transport.finish({&names[0]}));
        EXPECT_EQ(one, random_content(bytes, root + 1));
        CAIRN_CHECK(transport.finish({&names[1]}));
        EXPECT_EQ(two, random_content(bytes / 2, (root + 1) % 3 + 10));
      }
      return {};
    });
    for (const Status& status : ended) must(status);
  }
}

TEST(MemoryTransport, GathersBehindABroadcast) {
  FakeGroup group(4, {1, 200});
  const auto ended = over_memory(group, [&](Transport& transport) -> Status {
    Bytes memory = random_content(1000, transport.rank());
    CAIRN_CHECK(transport.broadcast({}, span_of(memory), 2));
    const Bytes own(10, static_cast<uint8_t>(transport.rank()));
    Bytes all(40);
    CAIRN_CHECK(transport.all_gather(own, all));
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i / 10);
    EXPECT_EQ(memory, random_content(1000, 2));
    EXPECT_EQ(transport.all_gather(own, MutableBytes(all).first(39)).error().code, Code::kUsage);
    EXPECT_EQ(transport.broadcast({}, span_of(memory), 4).error().code, Code::kUsage);
    return {};
  });
  for (const Status& status : ended) must(status);
}

TEST(MemoryTransport, ARankThatDoesNotComeIsNamedAndBreaksIt) {
  FakeGroup group(3, {1, 0, 100ms, 2, 1});
  const auto ended = over_memory(group, [&](Transport& transport) -> Status {
    const Bytes own(8);
    Bytes all(24), memory(100);
    CAIRN_CHECK(transport.all_gather(own, all));
    CAIRN_CHECK(transport.broadcast({}, span_of(memory), 2));
    const Status finished = transport.finish({});
    EXPECT_EQ(transport.all_gather(own, all).error().message, finished.error().message);
    return finished;
  });
  for (const unsigned rank : {0, 1}) {
    EXPECT_EQ(ended[rank].error().code, Code::kUnreachable);
    EXPECT_NE(ended[rank].error().message.find("rank 2 did not answer"), std::string::npos)
        << ended[rank].error().message;
  }
}

TEST(MemoryTransport, WantsAGroup) {
  FakeGroup group(2);
  FakeHostGroup host(group, 0);
  HostGroup lent = host.lent();
  lent.rank = 2;
  EXPECT_EQ(MemoryTransport::make(lent, 1s).error().code, Code::kUsage);
  lent = host.lent();
  lent.broadcast = nullptr;
  EXPECT_EQ(MemoryTransport::make(lent, 1s).error().code, Code::kUsage);
}

/// Buckets in the host's memory, all ranks reading.
TEST(MemoryTransport, PassesBucketsOn) {
  FakeGroup group(3, {7, 200});
  std::vector<WantedBox> boxes;
  std::vector<Bytes> contents;
  for (uint64_t i = 0; i < 30; ++i) {
    boxes.push_back({100 + i * 30, {0, 1, 2}});
    contents.push_back(random_content(boxes[i].bytes, i));
  }
  const BucketPlan plan = must(plan_buckets(boxes, 3, 1024));
  const auto ended = over_memory(group, [&](Transport& transport) -> Status {
    std::vector<Bytes> got;
    for (const WantedBox& box : boxes) got.emplace_back(box.bytes);
    int names[2] = {};
    const std::vector<Stream> streams{{&names[0]}, {&names[1]}};
    Bytes memory(pass_on_bytes(plan, 2));
    PassOn how{streams, span_of(memory), {}, {}};
    how.fill = [&](const Bucket& bucket, Stream, DeviceSpan room) -> Status {
      for (const BucketPart& part : bucket.parts)
        std::copy_n(contents[part.box].begin() + static_cast<ptrdiff_t>(part.offset), part.bytes,
                    room.data + part.place);
      return {};
    };
    how.take = [&](const Bucket& bucket, Stream, DeviceSpan room) -> Status {
      for (const BucketPart& part : bucket.parts)
        std::copy_n(room.data + part.place, part.bytes,
                    got[part.box].begin() + static_cast<ptrdiff_t>(part.offset));
      return {};
    };
    CAIRN_CHECK(pass_on(transport, plan, how));
    EXPECT_EQ(got, contents);
    return {};
  });
  for (const Status& status : ended) must(status);
}

}  // namespace
}  // namespace cairn::gpu
