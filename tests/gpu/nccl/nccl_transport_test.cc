// usage: nccl_transport_test FAKE (the file of the library)
#include "gpu/nccl/nccl_transport.h"

#include <dlfcn.h>

#include <map>
#include <mutex>

#include "gpu/exchange.h"
#include "gpu/pass_on.h"
#include "gpu/simt/faults.h"
#include "tests/gpu/fake_transport.h"
#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/nccl/fake_nccl.h"
#include "tests/gpu/plan_properties.h"

namespace cairn::gpu {
namespace {

using namespace std::chrono_literals;

const char* fake_file;
decltype(fake_nccl_set)* set_faults;
decltype(fake_nccl_is_done)* is_fake_done;
decltype(fake_nccl_counts)* counts;
std::shared_ptr<const NcclLibrary> library;

/// A stream of the rank. What is enqueued there is done at once: the stand-in of NCCL knows nothing
/// of queues.
Stream stream_of(unsigned rank, unsigned number = 0) {
  static std::mutex mutex;
  static std::map<std::pair<unsigned, unsigned>, OwnStream> streams;
  const std::lock_guard lock(mutex);
  simt::set_queue_schedule(0);
  auto& stream = streams[{rank, number}];
  if (stream.stream().handle == nullptr) stream = must(OwnStream::make());
  return stream.stream();
}

NcclOptions options_of(unsigned rank, std::chrono::milliseconds timeout = 20s) {
  NcclOptions options;
  options.timeout = timeout;
  options.is_done = [](Stream stream) -> Result<bool> { return is_fake_done(stream.handle); };
  options.stream = stream_of(rank);
  options.staging_bytes = 4096;
  return options;
}

/// `work` on ranks that make a communicator of their own.
std::vector<Status> over_nccl(unsigned ranks, const FakeNcclFaults& faults,
                              const std::function<Status(Transport&)>& work,
                              std::chrono::milliseconds timeout = 20s,
                              FakeGroup* beside = nullptr) {
  set_faults(&faults);
  const NcclId id = must(NcclTransport::make_id(*library));
  return on_ranks(ranks, [&](unsigned rank) -> Status {
    std::optional<FakeTransport> host;
    NcclOptions options = options_of(rank, timeout);
    if (beside != nullptr) options.beside = &host.emplace(*beside, rank);
    CAIRN_TRY(auto transport, NcclTransport::begin(library, rank, ranks, options));
    CAIRN_CHECK(transport->connect(id));
    return work(*transport);
  });
}

FakeNcclFaults late() {
  FakeNcclFaults faults;
  faults.delay_us = 200;
  return faults;
}

Status gather_and_broadcast(Transport& transport) {
  const unsigned rank = transport.rank(), size = transport.size();
  const Bytes own = random_content(3000, rank);  // more than one piece
  Bytes all(own.size() * size);
  CAIRN_CHECK(transport.all_gather(own, all));
  for (unsigned each = 0; each < size; ++each)
    EXPECT_EQ(Bytes(&all[each * 3000], &all[each * 3000] + 3000), random_content(3000, each));
  for (unsigned root = 0; root < size; ++root) {
    const OnDevice memory(random_content(5000, 10 + rank));
    CAIRN_CHECK(transport.broadcast(stream_of(rank, 1), memory.span(), root));
    CAIRN_CHECK(transport.finish(stream_of(rank, 1)));
    EXPECT_EQ(memory.content(), random_content(5000, 10 + root));
  }
  return {};
}

TEST(NcclTransport, GathersAndBroadcasts) {
  for (const unsigned ranks : {1u, 2u, 5u})
    for (const Status& status : over_nccl(ranks, late(), gather_and_broadcast)) must(status);
  EXPECT_EQ(counts().destroyed, 5);
  EXPECT_EQ(counts().aborted, 0);
}

TEST(NcclTransport, WaitsForCallsThatGoOn) {
  FakeNcclFaults faults = late();
  faults.is_in_progress = true;
  for (const Status& status : over_nccl(3, faults, gather_and_broadcast)) must(status);
}

TEST(NcclTransport, CarriesTheExchange) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const DrawnState state = draw_state(seed, {});
    std::vector<ExchangePlan> plans(state.ranks);
    const auto ended = over_nccl(state.ranks, late(), [&](Transport& transport) -> Status {
      const unsigned rank = transport.rank();
      CAIRN_TRY(plans[rank],
                agree_on_writers(
                    transport, HeldState{state.units, {}, state.maps[rank], state.digests[rank]}));
      return {};
    });
    for (const Status& status : ended) must(status);
    for (const ExchangePlan& plan : plans) EXPECT_EQ(plan, plans[0]);
    expect_properties(state, plans[0]);
  }
}

TEST(NcclTransport, CarriesALoad) {
  const std::vector<WantedBox> boxes(40, WantedBox{1000, {0, 1, 2}});
  const BucketPlan plan = must(plan_buckets(boxes, 3, 1500));
  std::array<size_t, 3> taken{};
  const auto ended = over_nccl(3, late(), [&](Transport& transport) {
    const unsigned rank = transport.rank();
    const std::vector<Stream> streams = {stream_of(rank, 1), stream_of(rank, 2),
                                         stream_of(rank, 3)};
    const OnDevice memory(pass_on_bytes(plan, streams.size()));
    const auto content = [](const Bucket& bucket) {
      return random_content(bucket.bytes, bucket.parts[0].box);
    };
    PassOn how{streams, memory.span(), {}, {}, device_copies()};
    how.fill = [&](const Bucket& bucket, Stream stream, DeviceSpan room) {
      return copy_up(stream, room.data, content(bucket));
    };
    how.take = [&](const Bucket& bucket, Stream, DeviceSpan room) -> Status {
      EXPECT_EQ(Bytes(room.data, room.data + room.bytes), content(bucket));
      ++taken[rank];
      return {};
    };
    return pass_on(transport, plan, how);
  });
  for (const Status& status : ended) must(status);
  for (const size_t each : taken) EXPECT_EQ(each, plan.buckets.size());
}

TEST(NcclTransport, AMissingRankIsATimeOut) {
  for (const uint64_t at : {0, 1, 3}) {
    FakeNcclFaults faults;
    faults.missing_rank = 1;
    faults.missing_at = at;
    const auto ended = over_nccl(3, faults, gather_and_broadcast, 400ms);
    for (const unsigned rank : {0, 2}) {
      ASSERT_FALSE(ended[rank]);
      EXPECT_EQ(ended[rank].error().code, Code::kUnreachable);
      EXPECT_NE(ended[rank].error().message.find(
                    "over NCCL was not done within 0.4 s; NCCL does not say which rank"),
                std::string::npos);
    }
    EXPECT_EQ(counts().aborted, 3);
    EXPECT_EQ(counts().destroyed, 0);
  }
}

TEST(NcclTransport, BesideItTheMissingRankIsNamed) {
  FakeNcclFaults faults;
  faults.missing_rank = 1;
  faults.missing_at = 2;
  FakeGroup dead(3, {1, 0, 100ms, 1, 0});  // it is dead there too
  for (const unsigned rank : {0, 2}) {
    const auto ended = over_nccl(3, faults, gather_and_broadcast, 400ms, &dead);
    EXPECT_NE(ended[rank].error().message.find("; rank 1 did not come"), std::string::npos);
    break;
  }
  FakeGroup alive(3, {1, 0, 5s});
  const auto ended = over_nccl(3, faults, gather_and_broadcast, 400ms, &alive);
  for (const Status& status : ended)
    EXPECT_NE(status.error().message.find("all ranks answer and wait as well"), std::string::npos);
}

TEST(NcclTransport, BesideItALateRankIsNamed) {
  FakeNcclFaults faults;
  faults.missing_rank = 2;  // hangs in what the others get done
  faults.missing_at = 2;
  FakeGroup group(3, {1, 0, 5s});
  const auto ended = over_nccl(
      3, faults,
      [&](Transport& transport) -> Status {
        const OnDevice memory(100);
        Bytes all(3);
        CAIRN_CHECK(transport.all_gather(Bytes(1), all));
        const Stream stream = stream_of(transport.rank(), 1);
        for (const unsigned root : {0, 2}) {
          CAIRN_CHECK(transport.broadcast(stream, memory.span(), root));
          CAIRN_CHECK(transport.finish(stream));
        }
        return {};
      },
      400ms, &group);
  for (const Status& status : ended)
    EXPECT_NE(status.error().message.find("; behind the others: rank 2"), std::string::npos);
}

TEST(NcclTransport, WhatNcclSaysIsTheError) {
  FakeNcclFaults faults;
  faults.failing_rank = 0;
  faults.missing_rank = 1;
  faults.missing_at = 2;
  for (const int error : {3, 6}) {
    faults.error = error;
    const auto ended = over_nccl(2, faults, gather_and_broadcast, 400ms);
    EXPECT_EQ(ended[0].error().code, error == 6 ? Code::kUnreachable : Code::kFailed);
    EXPECT_NE(ended[0].error().message.find(error == 6 ? "remote process" : "internal error"),
              std::string::npos);
    EXPECT_NE(ended[0].error().message.find("(socket closed)"), std::string::npos);
  }
}

TEST(NcclTransport, WhatIsBrokenStaysSo) {
  FakeNcclFaults faults;
  faults.missing_rank = 1;
  faults.missing_at = 1;
  over_nccl(
      2, faults,
      [](Transport& transport) -> Status {
        Bytes all(2);
        const Status first = transport.all_gather(Bytes(1), all);
        EXPECT_FALSE(first);
        const OnDevice memory(100);
        EXPECT_EQ(transport.all_gather(Bytes(1), all).error().message, first.error().message);
        EXPECT_FALSE(transport.broadcast({}, memory.span(), 0));
        EXPECT_FALSE(transport.finish({}));
        return {};
      },
      400ms);
}

/// The caller's communicators.
std::vector<NcclComm> make_communicators(int ranks) {
  NcclId id = must(NcclTransport::make_id(*library));
  std::vector<NcclComm> made(static_cast<size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    NcclConfig config;
    library->comm_init_rank_config(&made[static_cast<size_t>(rank)], ranks, id, rank, &config);
  }
  return made;
}

TEST(NcclTransport, ACallersCommunicatorIsLeftToTheCaller) {
  for (const bool is_broken : {false, true}) {
    FakeNcclFaults faults;
    if (is_broken) faults.missing_rank = 1;
    faults.missing_at = 2;
    set_faults(&faults);
    const std::vector<NcclComm> lent = make_communicators(3);
    const auto ended = on_ranks(3, [&](unsigned rank) -> Status {
      CAIRN_TRY(auto transport, NcclTransport::use(library, lent[rank], options_of(rank, 400ms)));
      EXPECT_EQ(transport->rank(), rank);
      EXPECT_EQ(transport->size(), 3u);
      return gather_and_broadcast(*transport);
    });
    for (const Status& status : ended) EXPECT_EQ(status.has_value(), !is_broken);
    EXPECT_EQ(counts().aborted + counts().destroyed, 0);
    for (const NcclComm each : lent) library->comm_abort(each);
  }
}

TEST(NcclTransport, SaysWhatIsMalformed) {
  set_faults(&*std::make_unique<FakeNcclFaults>());
  NcclOptions options = options_of(0);
  EXPECT_EQ(NcclTransport::begin(library, 2, 2, options).error().message, "rank 2 of 2");
  FakeGroup group(3);
  FakeTransport beside(group, 1);
  options.beside = &beside;
  EXPECT_EQ(NcclTransport::begin(library, 0, 2, options).error().message,
            "rank 0 of 2 over NCCL is rank 1 of 3 beside it");
  options.is_done = nullptr;
  EXPECT_EQ(NcclTransport::begin(library, 0, 2, options).error().code, Code::kUsage);
}

}  // namespace
}  // namespace cairn::gpu

int main(int argc, char** argv) {
  using namespace cairn::gpu;
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  fake_file = argv[1];
  library = must(NcclLibrary::open(fake_file));
  void* const handle = dlopen(fake_file, RTLD_NOW);
  const auto get = [handle](const char* name, auto& function) {
    void* address = dlsym(handle, name);
    std::memcpy(&function, &address, sizeof address);
  };
  get("fake_nccl_set", set_faults);
  get("fake_nccl_is_done", is_fake_done);
  get("fake_nccl_counts", counts);
  return RUN_ALL_TESTS();
}
