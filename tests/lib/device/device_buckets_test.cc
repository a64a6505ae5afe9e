// Ranks on devices that load together over a communicator: buckets travel from device to device.
#include "lib/device/device_buckets.h"

#include <filesystem>

#include "tests/lib/device/rank_rooms_fixture.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

/// In the order of the stream, as NCCL's is.
class OrderedTransport final : public gpu::Transport {
 public:
  OrderedTransport(gpu::FakeGroup& group, unsigned rank, unsigned device)
      : fake_(group, rank), device_(device) {}
  unsigned rank() const override { return fake_.rank(); }
  unsigned size() const override { return fake_.size(); }
  Status all_gather(ByteSpan own, MutableBytes all) override { return fake_.all_gather(own, all); }
  Status broadcast(gpu::Stream stream, gpu::DeviceSpan bytes, unsigned root) override {
    CAIRN_TRY(const auto scope, gpu::DeviceScope::enter(device_));
    CAIRN_CHECK(gpu::synchronize(stream));
    return fake_.broadcast(stream, bytes, root);
  }
  Status finish(gpu::Stream stream) override { return fake_.finish(stream); }

 private:
  gpu::FakeTransport fake_;
  const unsigned device_;
};

/// One whose broadcasts hang from some on, on all ranks, as NCCL's do on the caller's communicator
/// when a rank is gone: what comes behind them in their stream is not done before the test ends.
class HangingTransport final : public gpu::Transport {
 public:
  HangingTransport(gpu::FakeGroup& group, unsigned rank, unsigned device, uint64_t broadcasts,
                   const gpu::Event& never)
      : ordered_(group, rank, device), left_(broadcasts), never_(never) {}
  unsigned rank() const override { return ordered_.rank(); }
  unsigned size() const override { return ordered_.size(); }
  Status all_gather(ByteSpan own, MutableBytes all) override {
    CAIRN_CHECK(status_);
    return ordered_.all_gather(own, all);
  }
  Status broadcast(gpu::Stream stream, gpu::DeviceSpan bytes, unsigned root) override {
    if (left_-- > 0) return ordered_.broadcast(stream, bytes, root);
    left_ = 0;
    CAIRN_CHECK(gpu::wait_for(stream, never_));
    CAIRN_CHECK(gpu::fill_zeros(stream, bytes.data, bytes.bytes));
    is_hung_ = true;
    return {};
  }
  Status finish(gpu::Stream stream) override {
    if (is_hung_) status_ = fail(Code::kUnreachable, "out of time");
    CAIRN_CHECK(status_);
    return ordered_.finish(stream);
  }

 private:
  OrderedTransport ordered_;
  uint64_t left_;
  const gpu::Event& never_;
  bool is_hung_ = false;
  Status status_;
};

/// A staging whose ranks reach each other so.
class JoinedStaging final : public Staging {
 public:
  using Join = std::function<std::unique_ptr<gpu::Transport>(const RankGroup&)>;
  JoinedStaging(Join join, std::unique_ptr<Staging> staging)
      : join_(std::move(join)), staging_(std::move(staging)) {}
  Status lend(unsigned device, void* memory, uint64_t bytes) override {
    return staging_->lend(device, memory, bytes);
  }
  Result<std::unique_ptr<StagedSave>> begin_save(const DeviceChoices& choices,
                                                 std::vector<TensorSource>& tensors,
                                                 uint64_t chunk_elements) override {
    return staging_->begin_save(choices, tensors, chunk_elements);
  }
  Result<std::unique_ptr<StagedLoad>> begin_load(const DeviceChoices& choices,
                                                 const std::vector<TargetBox>& targets) override {
    return staging_->begin_load(choices, targets);
  }
  Result<std::unique_ptr<gpu::Transport>> join(const RankGroup& group) override {
    return join_(group);
  }
  Result<std::unique_ptr<NewCommunicator>> new_communicator(const RankGroup& group) override {
    return staging_->new_communicator(group);
  }
  Result<std::unique_ptr<PassedBuckets>> open_buckets(const DeviceChoices& choices,
                                                      const RankGroup& group) override {
    return staging_->open_buckets(choices, group);
  }

 private:
  const Join join_;
  const std::unique_ptr<Staging> staging_;
};

class DeviceBucketsTest : public RankRoomsFixture {
 protected:
  static constexpr unsigned kRanks = 3;

  /// All tensors, on device `rank % 2`.
  static std::vector<Rank> ranks_that_want_all() {
    return RankRoomsFixture::ranks_that_want_all(kRanks, 2);
  }

  std::vector<Status> load_all(std::vector<Rank>& ranks) {
    gpu::FakeGroup group(kRanks);
    return as_ranks(group, [&](unsigned rank, const RankGroup&) -> Status {
      const auto join = [&](const RankGroup& joined) {
        return std::make_unique<OrderedTransport>(group, rank, joined.device);
      };
      JoinedStaging staging(join, gpu::must(open_staging(small_options())));
      return load_on(ranks[rank], rank, staging);
    });
  }

  Status load_on(Rank& rank, unsigned number, JoinedStaging& staging) {
    RankGroup over_nccl;
    over_nccl.nccl = this;
    over_nccl.device = number % 2;
    rank.request.devices.staging = &staging;
    rank.request.call.threads = 2;
    CAIRN_TRY(const auto checkpoint, open_tag(*store_, "t"));
    CAIRN_TRY(rank.result, load_together(*checkpoint, rank.request, over_nccl));
    return {};
  }
};

TEST_F(DeviceBucketsTest, WhatAllWantIsReadOnce) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    draw_schedule(seed);
    std::vector<Rank> ranks = ranks_that_want_all();
    for (const Status& status : load_all(ranks)) gpu::must(status);
    for (const Rank& rank : ranks) {
      for (const auto& [name, room] : rank.rooms)
        EXPECT_EQ(room.content(), bytes_[name]) << name << seed;
    }
    EXPECT_LE(read_by(ranks), 4 * kTensorBytes * 105 / 100);
  }
}

/// What the device of the communicator cannot copy as it is goes through the host.
TEST_F(DeviceBucketsTest, EveryRankHasItsOwnWishes) {
  std::vector<Rank> ranks(kRanks);
  want(ranks[0], "w", 0);
  want(ranks[0], "x", std::nullopt);
  want(ranks[1], "w", 1, Dtype::kF32);
  want(ranks[1], "x", 0);  // of another device than its communicator's
  want(ranks[1], "y", 1, Dtype::kBF16, {2, 600});
  want(ranks[2], "w", std::nullopt, Dtype::kF32);
  want(ranks[2], "y", 0);
  for (Rank& rank : ranks) rank.request.cast = true;
  for (const Status& status : load_all(ranks)) gpu::must(status);
  EXPECT_EQ(ranks[0].rooms["w"].content(), bytes_["w"]);
  EXPECT_EQ(ranks[0].rooms["x"].content(), bytes_["x"]);
  EXPECT_EQ(ranks[1].rooms["x"].content(), bytes_["x"]);
  EXPECT_EQ(ranks[2].rooms["y"].content(), bytes_["y"]);
  EXPECT_EQ(ranks[1].rooms["w"].content(), ranks[2].rooms["w"].content());
  const Bytes turned = ranks[1].rooms["y"].content();
  const Bytes wide = ranks[2].rooms["w"].content();
  for (size_t row = 0; row < 300; row += 7) {
    for (size_t column = 0; column < 500; column += 11) {
      const uint64_t at = 2 * (500 * row + column);
      EXPECT_EQ(0, std::memcmp(&turned[2 * (300 * column + row)], &bytes_["y"][at], 2));
      EXPECT_EQ(0, std::memcmp(&wide[2 * at + 2], &bytes_["w"][at], 2))
          << "the high half of an F32";
    }
  }
}

/// The error comes to the caller, who alone can end what hangs.
TEST_F(DeviceBucketsTest, NobodyWaitsForABroadcastThatHangs) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    draw_schedule(seed);
    const gpu::OwnStream stalled = gpu::must(gpu::OwnStream::make());
    const gpu::OnDevice memory(16);
    gpu::Event never = gpu::must(gpu::Event::make());
    gpu::simt::hold_stream(stalled.stream());
    gpu::must(gpu::fill_zeros(stalled.stream(), memory.data(), 16));
    gpu::must(never.record(stalled.stream()));
    gpu::simt::take_vain_waits();
    {
      std::vector<Rank> ranks = ranks_that_want_all();
      gpu::FakeGroup group(kRanks);
      std::vector<std::unique_ptr<JoinedStaging>> stagings;
      for (unsigned rank = 0; rank < kRanks; ++rank) {
        const auto join = [&, rank](const RankGroup& joined) {
          return std::make_unique<HangingTransport>(group, rank, joined.device, seed % 3, never);
        };
        stagings.push_back(
            std::make_unique<JoinedStaging>(join, gpu::must(open_staging(small_options()))));
      }
      const auto ended = as_ranks(group, [&](unsigned rank, const RankGroup&) {
        return load_on(ranks[rank], rank, *stagings[rank]);
      });
      EXPECT_EQ(gpu::simt::take_vain_waits(), 0u) << seed;
      for (const Status& status : ended) {
        EXPECT_TRUE(fails_with(Code::kUnreachable, status)) << seed;
      }
      gpu::simt::release_stream(stalled.stream());
    }
    gpu::must(gpu::synchronize(stalled.stream()));
  }
}

TEST_F(DeviceBucketsTest, DamageIsToldToAll) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path() + "/packs")) {
    if (!entry.is_regular_file()) continue;
    Bytes bytes = *read_file(posix_fs(), entry.path(), 4 * kMiB);
    for (size_t at = 4096; at < bytes.size(); at += 64) bytes[at] ^= 1;
    ASSERT_TRUE(posix_fs().remove(entry.path()));
    ASSERT_TRUE(write_new_file(posix_fs(), entry.path(), bytes));
  }
  std::vector<Rank> ranks = ranks_that_want_all();
  for (const Status& status : load_all(ranks)) {
    ASSERT_TRUE(fails_with(Code::kCorrupt, status));
    EXPECT_NE(status.error().message.find("tag 't', tensor '"), std::string::npos);
  }
}

TEST_F(DeviceBucketsTest, WithoutMemoryForThemNoRankLoads) {
  for (uint64_t allowed = 0; allowed < 3; ++allowed) {
    std::vector<Rank> ranks = ranks_that_want_all();
    gpu::simt::fail_allocations_after(allowed);
    const auto ended = load_all(ranks);
    gpu::simt::clear_faults();
    for (const Status& status : ended) EXPECT_TRUE(fails_with(Code::kNoSpace, status));
  }
}

}  // namespace
}  // namespace cairn
