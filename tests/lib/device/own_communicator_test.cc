// Ranks on devices that make a communicator for a load: it goes with it, and where a rank has none
// all go on from host to host.
// usage: own_communicator_test FAKE (the file of the library)
#include <chrono>

#include "tests/lib/device/nccl_ranks_fixture.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

const char* fake_file;

class OwnCommunicators : public NcclRanksFixture {
 protected:
  void SetUp() override {
    setenv("CAIRN_NCCL", fake_file, 1);
    NcclRanksFixture::SetUp();
  }

  RankGroup making(unsigned rank, RankGroup lent) const {
    lent.makes_nccl = true;
    lent.device = devices_[rank];
    return lent;
  }
  std::vector<Status> load_all(std::vector<Rank>& ranks, gpu::FakeGroup& group) {
    return NcclRanksFixture::load_all(
        ranks, group, [&](unsigned rank, const RankGroup& lent) { return making(rank, lent); });
  }

  /// Takes the memory of a device, but for so many bytes.
  static gpu::OnDevice fill_up(unsigned device, uint64_t free_bytes) {
    constexpr uint64_t kDeviceBytes = 64 * kMiB;
    uint64_t most = 0;
    for (unsigned each = 0; each < kRanks; ++each)
      most = std::max(most, gpu::simt::used_memory(each));
    const uint64_t limit = most + kDeviceBytes;
    gpu::simt::set_memory(limit);
    const auto scope = gpu::must(gpu::DeviceScope::enter(device));
    return gpu::OnDevice(limit - gpu::simt::used_memory(device) - free_bytes);
  }

  /// Loads, and holds the ranks to the same, read once, and one note where one is told.
  void expect_loaded(std::vector<Rank>& ranks, const std::string& note,
                     std::chrono::milliseconds timeout = 20s) {
    gpu::FakeFaults waits;
    waits.timeout = timeout;
    gpu::FakeGroup group(kRanks, waits);
    for (const Status& status : load_all(ranks, group)) ASSERT_TRUE(succeeds(status));
    expect_all_right(ranks);
    for (const Rank& rank : ranks) {
      ASSERT_EQ(rank.result.notes.size(), note.empty() ? 0u : 1u);
      if (note.empty()) continue;
      EXPECT_NE(rank.result.notes[0].find("from host to host"), std::string::npos);
      EXPECT_NE(rank.result.notes[0].find(note), std::string::npos) << rank.result.notes[0];
    }
    EXPECT_LE(read_by(ranks), 4 * kTensorBytes * 105 / 100);
    EXPECT_EQ(NcclWorld::counts().broadcasts > 0, note.empty());
  }

  std::array<unsigned, kRanks> devices_ = {0, 1, 2, 3};  // of each rank's communicator
};

TEST_F(OwnCommunicators, AreMadeForTheLoadAndGoWithIt) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    draw_schedule(seed);
    FakeNcclFaults late;
    late.delay_us = seed % 2 == 0 ? 0 : 3000;
    late.is_in_progress = seed % 4 == 3;
    NcclWorld::set(late);
    std::vector<Rank> ranks = all_want_all();
    expect_loaded(ranks, "");
    EXPECT_EQ(NcclWorld::counts().made, static_cast<int>(kRanks));
    EXPECT_EQ(NcclWorld::counts().destroyed, static_cast<int>(kRanks));
    EXPECT_EQ(NcclWorld::counts().aborted, 0);
  }
}

TEST_F(OwnCommunicators, WithoutNcclOnARankAllGoByTheHost) {
  unsetenv("CAIRN_NCCL");
  std::vector<Rank> ranks = all_want_all();
  expect_loaded(ranks, "no NCCL here");
}

TEST_F(OwnCommunicators, ARankWithoutDevicesTakesAllToTheHost) {
  std::vector<Rank> ranks = all_want_all();
  ranks[2] = {};
  for (const char* name : kNames) want(ranks[2], name, std::nullopt);
  stagings_[2] = nullptr;
  expect_loaded(ranks, "nothing that it loads is on a device");
  for (const unsigned rank : {0, 1, 3})
    EXPECT_NE(ranks[rank].result.notes[0].find("rank 2: "), std::string::npos);
  EXPECT_EQ(NcclWorld::counts().made + NcclWorld::counts().ids, 0);
}

/// Nobody waits for who has no memory for it.
TEST_F(OwnCommunicators, ADeviceWithoutRoomForOneTakesAllToTheHostAtOnce) {
  std::vector<Rank> ranks = all_want_all();
  const gpu::OnDevice filler = fill_up(1, 4 * kMiB);
  const auto begin = std::chrono::steady_clock::now();
  expect_loaded(ranks, "they made no communicator: ");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);
  EXPECT_EQ(NcclWorld::counts().made + NcclWorld::counts().ids, 0);
}

TEST_F(OwnCommunicators, ADeviceWithoutRoomForBucketsTakesAllToTheHost) {
  for (const unsigned rank : {0u, 1u}) {
    std::vector<Rank> ranks = all_want_all();
    const gpu::OnDevice filler = fill_up(rank, 8 * kMiB + 100'000);
    expect_loaded(ranks, "there was no room for it on their devices: ");
    EXPECT_EQ(NcclWorld::counts().made, NcclWorld::counts().destroyed);
    EXPECT_NE(ranks[2].result.notes[0].find("rank " + std::to_string(rank) + ": "),
              std::string::npos);
    gpu::simt::set_memory(UINT64_MAX);
    NcclWorld::set({});
  }
}

TEST_F(OwnCommunicators, TwoRanksOnOneDeviceDoNotAskNccl) {
  devices_[3] = 1;
  std::vector<Rank> ranks = all_want_all();
  expect_loaded(ranks, "ranks 1 and 3 are on one device");
  EXPECT_EQ(NcclWorld::counts().made + NcclWorld::counts().ids, 0);
}

/// NCCL has an error for one, while the others make theirs; or all wait for one in vain.
TEST_F(OwnCommunicators, ThatCannotBeMadeAreAborted) {
  for (const bool is_told : {true, false}) {
    FakeNcclFaults faults;
    if (is_told) faults.unable_rank = 1;
    if (!is_told) faults.missing_rank = 1;
    NcclWorld::set(faults);
    std::vector<Rank> ranks = all_want_all();
    expect_loaded(ranks, "making a communicator over NCCL", 1s);
    EXPECT_EQ(NcclWorld::counts().aborted, static_cast<int>(is_told ? kRanks - 1 : kRanks));
    EXPECT_EQ(NcclWorld::counts().destroyed, 0);
  }
}

/// One rank is there when the communicator is made, and dies: nothing is left of it, and its bucket
/// memory is given back.
TEST_F(OwnCommunicators, WhoIsMissingIsNamed) {
  for (const uint64_t at : {2, 6, 9}) {
    SCOPED_TRACE(at);
    draw_schedule(at);
    FakeNcclFaults faults;
    faults.missing_rank = 2;
    faults.missing_at = at;
    NcclWorld::set(faults);
    std::vector<Rank> ranks = all_want_all();
    gpu::FakeFaults dies;
    dies.dying = 2;
    // After what is said when a communicator is made, and of the memory of buckets.
    dies.dies_at = at < 5 ? 5 : 6;
    dies.timeout = 800ms;
    std::vector<uint64_t> used;
    for (unsigned device = 0; device < kRanks; ++device)
      used.push_back(gpu::simt::used_memory(device));
    gpu::FakeGroup group(kRanks, dies);
    const auto ended = load_all(ranks, group);
    expect_rank_2_missed(ended);
    EXPECT_EQ(NcclWorld::counts().aborted, static_cast<int>(kRanks));
    for (unsigned device = 0; device < kRanks; ++device)
      EXPECT_LE(gpu::simt::used_memory(device), used[device] + small_options().device_bytes);
  }
}

TEST_F(OwnCommunicators, WhatFailsOnOneRankFailsOnAll) {
  break_disk(0);
  std::vector<Rank> ranks = all_want_all();
  gpu::FakeGroup group(kRanks);
  expect_told_of_disk(load_all(ranks, group));
  EXPECT_EQ(NcclWorld::counts().destroyed, static_cast<int>(kRanks));
}

/// While ranks wait for one that hangs, the caller of one says that it wants no more.
TEST_F(OwnCommunicators, AWaitEndsWhenTheCallerSaysSo) {
  FakeNcclFaults faults;
  faults.missing_rank = 2;
  faults.missing_at = 5;
  NcclWorld::set(faults);
  std::vector<Rank> ranks = all_want_all();
  gpu::FakeFaults patient;
  patient.timeout = 60s;
  gpu::FakeGroup group(kRanks, patient);
  const auto begin = std::chrono::steady_clock::now();
  const auto ended =
      NcclRanksFixture::load_all(ranks, group, [&](unsigned rank, const RankGroup& lent) {
        RankGroup looking = making(rank, lent);
        looking.host.look = [](void*, HostWait* wait) {
          std::snprintf(wait->message, sizeof wait->message, "the caller has had enough");
          return HostAnswer::kFailed;
        };
        return looking;
      });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  for (const Status& status : ended) {
    ASSERT_TRUE(fails_with(Code::kFailed, status));
    EXPECT_NE(status.error().message.find("the caller has had enough"), std::string::npos);
  }
}

TEST_F(OwnCommunicators, AreNotAskedForBesideOneOfTheCallers) {
  std::vector<Rank> ranks = ranks_that_want_all(1, 1);
  RankGroup group = making(0, {});
  group.nccl = this;
  EXPECT_TRUE(fails_with(Code::kUsage, load_on(ranks[0], 0, group)));
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  cairn::fake_file = argv[1];
  cairn::NcclWorld::enter(argv[1]);
  return RUN_ALL_TESTS();
}
