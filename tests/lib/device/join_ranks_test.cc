// Ranks on devices that load and save together over communicators of the caller, with all that
// takes part in it: load_together, the buckets, what joins ranks, and a stand-in of NCCL that keeps
// to the order of streams.
// usage: join_ranks_test FAKE (the file of the library)
#include "lib/save_part.h"
#include "tests/lib/device/nccl_ranks_fixture.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class JoinRanks : public NcclRanksFixture {
 protected:
  void SetUp() override {
    NcclRanksFixture::SetUp();
    if (!IsSkipped()) nccl_ = gpu::must(gpu::NcclLibrary::find());
  }

  /// What the caller of a load has, on each rank.
  struct Callers {
    std::vector<gpu::NcclComm> communicators;
    std::vector<gpu::OwnStream> streams;
  };

  Callers make_callers() {
    Callers made{std::vector<gpu::NcclComm>(kRanks), {}};
    gpu::NcclId id;
    nccl_->get_unique_id(&id);
    for (unsigned rank = 0; rank < kRanks; ++rank) {
      const auto scope = gpu::must(gpu::DeviceScope::enter(rank));
      gpu::NcclConfig config;
      nccl_->comm_init_rank_config(&made.communicators[rank], kRanks, id, static_cast<int>(rank),
                                   &config);
      made.streams.push_back(gpu::must(gpu::OwnStream::make()));
    }
    return made;
  }
  void end(const Callers& callers) {
    for (const gpu::NcclComm each : callers.communicators) nccl_->comm_abort(each);
  }

  static RankGroup joined(RankGroup lent, unsigned number, const Callers& callers) {
    lent.nccl = callers.communicators[number];
    lent.device = number;
    lent.stream = callers.streams[number].stream().handle;
    return lent;
  }

  std::vector<Status> load_over(const Callers& callers, std::vector<Rank>& ranks,
                                gpu::FakeGroup& group) {
    return NcclRanksFixture::load_all(ranks, group, [&](unsigned rank, const RankGroup& lent) {
      return joined(lent, rank, callers);
    });
  }
  /// Over communicators that are made here, and ended as training would.
  std::vector<Status> load_all(std::vector<Rank>& ranks, gpu::FakeGroup& group) {
    const Callers callers = make_callers();
    const auto ended = load_over(callers, ranks, group);
    end(callers);
    return ended;
  }
  std::vector<Status> load_all(std::vector<Rank>& ranks) {
    gpu::FakeGroup group(kRanks);
    return load_all(ranks, group);
  }

  /// What one load by itself reads.
  uint64_t read_alone() {
    Rank rank;
    for (const char* name : kNames) want(rank, name, 0);
    rank.request.devices.staging = staging_.get();
    const auto checkpoint = gpu::must(open_tag(*store_, "t"));
    const LoadResult loaded = gpu::must(load(*checkpoint, rank.request));
    for (const auto& [name, room] : rank.rooms) EXPECT_EQ(room.content(), bytes_[name]);
    return loaded.read_bytes;
  }

  void expect_all_right(const std::vector<Rank>& ranks) {
    NcclRanksFixture::expect_all_right(ranks);
    for (const Rank& rank : ranks) EXPECT_TRUE(rank.result.notes.empty());
  }

  std::shared_ptr<const gpu::NcclLibrary> nccl_;
};

TEST_F(JoinRanks, WhatAllWantIsReadOnce) {
  const uint64_t alone = read_alone();
  for (uint64_t seed = 0; seed < 9; ++seed) {
    SCOPED_TRACE(seed);
    draw_schedule(seed);
    FakeNcclFaults late;
    late.delay_us = seed % 2 == 0 ? 0 : 3000;
    late.is_in_progress = seed % 4 == 3;
    NcclWorld::set(late);
    std::vector<Rank> ranks = all_want_all();
    for (const Status& status : load_all(ranks)) ASSERT_TRUE(succeeds(status));
    expect_all_right(ranks);
    EXPECT_EQ(read_by(ranks), alone);
    EXPECT_GE(NcclWorld::counts().broadcast_bytes, kRanks * 4 * kTensorBytes);
  }
}

/// Buckets of many kinds, one after the other in the same memory; and all that the communicator's
/// device cannot copy as it is.
TEST_F(JoinRanks, EveryRankHasItsOwnWishes) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    draw_schedule(seed);
    FakeNcclFaults late;
    late.delay_us = 2000;
    NcclWorld::set(late);
    std::vector<Rank> ranks(kRanks);
    want(ranks[0], "v", 0);
    want(ranks[0], "w", 0);
    want(ranks[0], "x", std::nullopt);
    want(ranks[0], "y", 0);
    want(ranks[1], "v", 1);
    want(ranks[1], "x", 0);  // of another device than its communicator's
    want(ranks[1], "y", 1, Dtype::kBF16, {2, 600});
    want(ranks[2], "w", 2);
    want(ranks[2], "x", 2, Dtype::kF32);
    want(ranks[2], "y", 2);
    want(ranks[3], "v", 3);
    want(ranks[3], "w", 3);
    want(ranks[3], "x", std::nullopt, Dtype::kF32);
    for (Rank& rank : ranks) rank.request.cast = true;
    for (const Status& status : load_all(ranks)) ASSERT_TRUE(succeeds(status));
    EXPECT_EQ(ranks[2].rooms["x"].content(), ranks[3].rooms["x"].content());
    const Bytes turned = ranks[1].rooms["y"].content();
    for (size_t row = 0; row < 300; row += 7) {
      for (size_t column = 0; column < 500; column += 11) {
        EXPECT_EQ(0, std::memcmp(&turned[2 * (300 * column + row)],
                                 &bytes_["y"][2 * (500 * row + column)], 2));
      }
    }
    ranks[1].rooms.erase("y");
    ranks[2].rooms.erase("x");
    ranks[3].rooms.erase("x");
    expect_all_right(ranks);
  }
}

/// Its communicator's operations do not come, from one of them on: to all ranks this is one that
/// hangs. The rank is not in the host group either.
TEST_F(JoinRanks, WhoIsMissingIsNamedAndNobodyHangs) {
  for (const uint64_t at : {1, 4, 6, 8, 10}) {
    SCOPED_TRACE(at);
    draw_schedule(at);
    FakeNcclFaults faults;
    faults.delay_us = 500;
    faults.missing_rank = 2;
    faults.missing_at = at;
    NcclWorld::set(faults);
    std::vector<Rank> ranks = all_want_all();
    gpu::FakeFaults dies;
    dies.dying = 2;
    dies.timeout = 800ms;
    gpu::FakeGroup group(kRanks, dies);
    const auto ended = load_all(ranks, group);
    expect_rank_2_missed(ended);
  }
}

/// A disk of one rank fails in the midst of the load.
TEST_F(JoinRanks, WhatFailsOnOneRankFailsOnAll) {
  uint64_t failed = 0;
  for (const size_t reads : {8, 10, 12, 14, 16, 20}) {
    SCOPED_TRACE(reads);
    draw_schedule(reads);
    break_disk(reads - 8);
    std::vector<Rank> ranks = all_want_all();
    gpu::FakeGroup group(kRanks);
    const auto ended = load_all(ranks, group);
    if (ended[1]) {  // it had not as many reads to make
      for (const Status& status : ended) EXPECT_TRUE(succeeds(status));
      expect_all_right(ranks);
      continue;
    }
    ++failed;
    expect_told_of_disk(ended);
  }
  EXPECT_GE(failed, 1u);
}

/// Beside what a staging keeps: two buckets, and what the transport gathers in. Nothing of it is
/// kept from load to load.
TEST_F(JoinRanks, MemoryIsBounded) {
  constexpr uint64_t kGathers = 8 * kMiB;
  constexpr uint64_t kBuckets = 2 * (4 * kTensorBytes / kRanks * 105 / 100 + 4096);
  const Callers callers = make_callers();
  std::vector<Rank> ranks = all_want_all();
  const auto load_again = [&] {
    gpu::FakeGroup group(kRanks);
    return load_over(callers, ranks, group);
  };
  for (const Status& status : load_again()) ASSERT_TRUE(succeeds(status));
  uint64_t kept = 0;  // the targets too, and what other tests have left to the process
  for (unsigned device = 0; device < kRanks; ++device)
    kept = std::max(kept, gpu::simt::used_memory(device));
  gpu::simt::set_memory(kept + kGathers + kBuckets);
  for (int round = 0; round < 3; ++round) {
    for (const Status& status : load_again()) ASSERT_TRUE(succeeds(status));
    expect_all_right(ranks);
  }
  gpu::simt::set_memory(kept + kGathers + kBuckets / 2);
  for (const Status& status : load_again()) EXPECT_TRUE(fails_with(Code::kNoSpace, status));
  end(callers);
}

TEST_F(JoinRanks, ReplicasAreSavedOnce) {
  const Callers callers = make_callers();
  const Bytes content = noise(kTensorBytes, 77);
  std::vector<SaveRequest> requests(kRanks);
  for (unsigned rank = 0; rank < kRanks; ++rank) {
    requests[rank].tag = "replicas";
    requests[rank].base = "none";
    requests[rank].devices.staging = stagings_[rank].get();
    requests[rank].tensors = on_device(cut("w", kShape, content, 0, 1, false), rank);
  }
  std::vector<std::unique_ptr<SavedPart>> parts(kRanks);
  gpu::FakeGroup group(kRanks);
  const auto ended = as_ranks(group, [&](unsigned rank, const RankGroup& lent) -> Status {
    const RankGroup over_nccl = joined(lent, rank, callers);
    requests[rank].group = &over_nccl;
    CAIRN_TRY(parts[rank], save_part(*store_, requests[rank]));
    return {};
  });
  EXPECT_EQ(gpu::simt::take_vain_waits(), 0u);
  end(callers);
  for (const Status& status : ended) ASSERT_TRUE(succeeds(status));
  SaveRequest uniting;
  uniting.tag = "replicas";
  for (const auto& part : parts) uniting.parts.push_back(part->name());
  const SaveResult saved = gpu::must(save(*store_, uniting));
  for (const auto& part : parts) part->keep();
  EXPECT_EQ(saved.facts.new_bytes, kTensorBytes);
  EXPECT_EQ(load_whole("replicas", "w", kShape), content);
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  cairn::NcclWorld::enter(argv[1]);
  return RUN_ALL_TESTS();
}
