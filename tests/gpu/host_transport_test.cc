#include "gpu/host_transport.h"

#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

using namespace std::chrono_literals;

TEST(HostTransport, BroadcastsInSlices) {
  for (const uint64_t bytes : {0, 1, 99, 100, 101, 200, 1000, 12'345}) {
    FakeGroup group(3, {bytes, 100});
    const auto ended = over_host(group, 100, [&](Transport& transport) -> Status {
      for (unsigned root = 0; root < 3; ++root) {
        const OnDevice memory(random_content(bytes, transport.rank() + 1));
        const OnDevice more(random_content(bytes / 2, transport.rank() + 10));
        CAIRN_CHECK(transport.broadcast({}, memory.span(), root));
        CAIRN_CHECK(transport.broadcast({}, more.span(), (root + 1) % 3));
        CAIRN_CHECK(transport.finish({}));
        EXPECT_EQ(memory.content(), random_content(bytes, root + 1));
        EXPECT_EQ(more.content(), random_content(bytes / 2, (root + 1) % 3 + 10));
      }
      return {};
    });
    for (const Status& status : ended) must(status);
  }
}

TEST(HostTransport, GathersBehindABroadcast) {
  FakeGroup group(4, {1, 200});
  const auto ended = over_host(group, 64, [&](Transport& transport) -> Status {
    const OnDevice memory(random_content(1000, transport.rank()));
    CAIRN_CHECK(transport.broadcast({}, memory.span(), 2));
    const Bytes own(10, static_cast<uint8_t>(transport.rank()));
    Bytes all(40);
    CAIRN_CHECK(transport.all_gather(own, all));
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i / 10);
    EXPECT_EQ(memory.content(), random_content(1000, 2));
    EXPECT_EQ(transport.all_gather(own, MutableBytes(all).first(39)).error().code, Code::kUsage);
    EXPECT_EQ(transport.broadcast({}, memory.span(), 4).error().code, Code::kUsage);
    return {};
  });
  for (const Status& status : ended) must(status);
}

TEST(HostTransport, WhoIsMissingIsNamedAndStaysSo) {
  for (const uint64_t dies_at : {0, 1, 3}) {
    FakeGroup group(3, {1, 0, 80ms, 1, dies_at});
    const auto ended = over_host(group, 64, [&](Transport& transport) -> Status {
      const OnDevice memory(1000);
      Bytes all(3);
      CAIRN_CHECK(transport.all_gather(Bytes(1), all));
      CAIRN_CHECK(transport.broadcast({}, memory.span(), 1));
      Status finished = transport.finish({});
      if (!finished) {
        EXPECT_EQ(transport.all_gather(Bytes(1), all).error().message, finished.error().message);
        EXPECT_FALSE(transport.broadcast({}, memory.span(), 0));
        EXPECT_FALSE(transport.finish({}));
      }
      return finished;
    });
    for (const unsigned rank : {0, 2}) {
      ASSERT_FALSE(ended[rank]);
      EXPECT_EQ(ended[rank].error().code, Code::kUnreachable);
      EXPECT_EQ(ended[rank].error().message,
                "rank 1 did not answer rank " + std::to_string(rank) + " within 0.08 s");
    }
    EXPECT_EQ(ended[1].error().message, "the job's CPU group: died");
  }
}

TEST(HostTransport, SaysWhatIsMalformed) {
  FakeGroup group(2);
  FakeHostGroup host(group, 0);
  HostGroup lent = host.lent();
  EXPECT_EQ(HostTransport::make(lent, {1s, 0}).error().code, Code::kUsage);
  lent.rank = 2;
  EXPECT_EQ(HostTransport::make(lent).error().message, "rank 2 of 2");
  lent.all_gather = nullptr;
  EXPECT_EQ(HostTransport::make(lent).error().code, Code::kUsage);
}

}  // namespace
}  // namespace cairn::gpu
