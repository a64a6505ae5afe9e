// Four ranks, each with a device and a staging of its own, that load a tag together over the NCCL
// that stands in for it.
#pragma once

#include "tests/lib/device/nccl_world.h"
#include "tests/lib/device/rank_rooms_fixture.h"
#include "tests/support/fault_fs.h"
#include "tests/support/outcome.h"

namespace cairn {

class NcclRanksFixture : public RankRoomsFixture {
 protected:
  static constexpr unsigned kRanks = 4;

  void SetUp() override {
    if (!NcclWorld::is_alone()) GTEST_SKIP() << "there is an NCCL here";
    gpu::simt::set_devices(kRanks);
    RankRoomsFixture::SetUp();
    NcclWorld::set({});
    for (unsigned rank = 0; rank < kRanks; ++rank)
      stagings_.push_back(gpu::must(open_staging(small_options())));
    gpu::simt::take_vain_waits();
  }

  static std::vector<Rank> all_want_all() { return ranks_that_want_all(kRanks, kRanks); }

  Status load_on(Rank& rank, unsigned number, const RankGroup& lent) {
    rank.request.devices.staging = stagings_[number].get();
    rank.request.call.threads = 2;
    const bool is_faulty = faulty_store_ != nullptr && number == 1;
    CAIRN_TRY(const auto checkpoint, open_tag(is_faulty ? *faulty_store_ : *store_, "t"));
    CAIRN_TRY(rank.result, load_together(*checkpoint, rank.request, lent));
    return {};
  }

  /// `way`(rank, lent): what each is lent. No wait of a rank may have been in vain.
  template <class Way>
  std::vector<Status> load_all(std::vector<Rank>& ranks, gpu::FakeGroup& group, const Way& way) {
    const auto ended = as_ranks(group, [&](unsigned rank, const RankGroup& lent) {
      return load_on(ranks[rank], rank, way(rank, lent));
    });
    EXPECT_EQ(gpu::simt::take_vain_waits(), 0u);
    return ended;
  }

  void expect_all_right(const std::vector<Rank>& ranks) {
    for (const Rank& rank : ranks)
      for (const auto& [name, room] : rank.rooms) EXPECT_EQ(room.content(), bytes_[name]) << name;
  }

  /// From now on rank 1 reads from a disk that breaks at this of its reads.
  void break_disk(size_t at) {
    faulty_.counts = [](FsCall call, const std::string& path) {
      return call == FsCall::kRead && path.find("/packs/") != std::string::npos;
    };
    faulty_store_ = gpu::must(Store::open(faulty_, path()));
    faulty_.fail_at = at;
    faulty_.error = {Code::kFailed, "a disk that breaks", ""};
  }
  static void expect_told_of_disk(const std::vector<Status>& ended) {
    for (unsigned rank = 0; rank < kRanks; ++rank) {
      ASSERT_TRUE(fails_with(Code::kFailed, ended[rank]));
      EXPECT_NE(ended[rank].error().message.find("a disk that breaks"), std::string::npos);
      EXPECT_EQ(ended[rank].error().message.find("rank 1: ") == 0, rank != 1);
    }
  }
  /// Rank 2 has died: the others say so.
  static void expect_rank_2_missed(const std::vector<Status>& ended) {
    for (unsigned rank = 0; rank < kRanks; ++rank) {
      ASSERT_TRUE(fails_with(Code::kUnreachable, ended[rank]));
      EXPECT_EQ(ended[rank].error().message.find("; rank 2 did not answer") == std::string::npos,
                rank == 2)
          << ended[rank].error().message;
    }
  }

  std::vector<std::unique_ptr<Staging>> stagings_;

 private:
  FaultFs faulty_{posix_fs()};
  std::unique_ptr<Store> faulty_store_;
};

}  // namespace cairn
