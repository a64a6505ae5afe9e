// Saves by ranks that hold the same: each stores its share.
#include "lib/share_replicas.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "lib/part.h"
#include "lib/read_parts.h"
#include "tests/lib/parts_fixture.h"
#include "tests/lib/rank_threads.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class ShareReplicas : public TrainedParts {
 protected:
  /// Stores a part on each rank; what failed is left out.
  std::vector<Status> store(gpu::FakeGroup& group, const RankRequests& requests) {
    parts_.clear();
    parts_.resize(requests.size());
    return as_ranks(group, [&](unsigned rank, const RankGroup& lent) -> Status {
      SaveRequest request = requests[rank];
      request.group = &lent;
      request.call.threads = 1;
      CAIRN_TRY(parts_[rank], save_part(*store_, request));
      return {};
    });
  }
  /// All of a save, and what each rank has stored.
  SaveResult save_shared(const RankRequests& requests) {
    gpu::FakeGroup group(static_cast<unsigned>(requests.size()), {1, 100});
    for (const Status& status : store(group, requests)) EXPECT_TRUE(succeeds(status));
    const SaveRequest uniting_all = uniting(requests.front(), parts_);
    read_ = *read_parts(*store_, uniting_all);
    auto saved = save(*store_, uniting_all);
    EXPECT_TRUE(succeeds(saved));
    keep_all(parts_);
    return saved ? *saved : SaveResult();
  }
  /// The same requests for other ranks, of which some repeat.
  static RankRequests on(const RankRequests& cut, const std::vector<unsigned>& holders) {
    RankRequests all;
    for (const unsigned which : holders) {
      all.push_back(cut[which]);
      for (TensorSource& tensor : all.back().tensors)
        tensor.writer = static_cast<uint32_t>(all.size() - 1);
    }
    return all;
  }
  /// Bytes of all units that the parts have stored or hold in pages, by part.
  std::vector<uint64_t> told_bytes() const {
    std::vector<uint64_t> bytes;
    for (const Part& part : read_) {
      uint64_t sum = 0;
      for (const Copy& copy : part.copies.copies) sum += copy.decoded_bytes;
      bytes.push_back(sum);
    }
    return bytes;
  }
  /// How often a chunk or piece is in a part.
  std::map<std::tuple<std::string, uint64_t, std::string>, unsigned> times_stored() const {
    std::map<std::tuple<std::string, uint64_t, std::string>, unsigned> times;
    for (const Part& part : read_) {
      for (const PartUnit& unit : part.units) {
        if (!unit.is_stored()) continue;
        ++times[{part.schema.tensors[unit.item].name, unit.chunk,
                 unit.piece ? unit.piece->text() : ""}];
      }
    }
    return times;
  }
  Digest alone(const std::string& tag, const RankRequests& requests) {
    auto saved = save(*store_, joined(requests, tag));
    EXPECT_TRUE(succeeds(saved));
    return saved ? saved->manifest : Digest();
  }

  SavedParts parts_;
  std::vector<Part> read_;
};

TEST_F(ShareReplicas, EqualRanksStoreEqualShares) {
  for (const unsigned ranks : {2u, 3u, 5u}) {
    const RankRequests one = cut_state(fmt::format("dp{}", ranks), trainer_.state(), {1, 1});
    const SaveResult saved = save_shared(on(one, std::vector<unsigned>(ranks, 0)));
    EXPECT_EQ(saved.manifest, alone(fmt::format("alone{}", ranks), one));
    EXPECT_TRUE(saved.warnings.empty());
    for (const auto& [unit, times] : times_stored()) EXPECT_EQ(times, 1u) << std::get<0>(unit);
    const auto bytes = told_bytes();
    const auto [least, most] = std::minmax_element(bytes.begin(), bytes.end());
    EXPECT_LE(*most - *least, 1024u * 14) << "one chunk of weight, master and moments";
    states_[fmt::format("dp{}", ranks)] = trainer_.state();
    expect_exact(fmt::format("dp{}", ranks));
  }
}

TEST_F(ShareReplicas, HalvesThatTwoRanksHoldEach) {
  const RankRequests halves = cut_state("hsdp", trainer_.state(), {2, 1});
  const SaveResult saved = save_shared(on(halves, {0, 1, 0, 1}));
  EXPECT_EQ(saved.manifest, alone("halves", halves));
  for (const auto& [unit, times] : times_stored())
    EXPECT_EQ(times, 1u) << std::get<0>(unit) << " " << std::get<2>(unit);
  states_["hsdp"] = trainer_.state();
  expect_exact("hsdp");
}

/// One rank holds everything, others a half each, one nothing.
TEST_F(ShareReplicas, HoldersThatOverlap) {
  const RankRequests halves = cut_state("mixed", trainer_.state(), {2, 1});
  RankRequests all = on(halves, {0, 1});
  all.push_back(cut_state("mixed", trainer_.state(), {1, 1})[0]);
  all.push_back(all[0]);
  all[3].tensors.clear();
  for (TensorSource& tensor : all[2].tensors) tensor.writer = 2;
  gpu::FakeGroup group(4);
  for (const Status& status : store(group, all)) EXPECT_TRUE(succeeds(status));
}

TEST_F(ShareReplicas, SeriesAreDeltasOfTheirOwn) {
  RankRequests all = on(requests("run/1", {1, 1}), {0, 0, 0});
  for (SaveRequest& request : all) request.base = "none";
  save_shared(all);
  states_["run/1"] = trainer_.state();
  trainer_.step();
  all = on(requests("run/2", {1, 1}), {0, 0, 0});
  for (SaveRequest& request : all) request.base = "run/1";
  const SaveResult saved = save_shared(all);
  EXPECT_EQ(saved.base, "run/1");
  states_["run/2"] = trainer_.state();
  expect_exact("run/1");
  expect_exact("run/2");
  expect_sound();
}

TEST_F(ShareReplicas, TheMajorityIsStoredAndTheOddOneTold) {
  const State good = trainer_.state();
  State odd = good;
  const std::string name = odd.begin()->first;
  odd[name].bytes[5] ^= 1;
  const RankRequests one = cut_state("t", good, {1, 1}), other = cut_state("t", odd, {1, 1});
  RankRequests all = on(one, {0, 0, 0});
  all[0] = other[0];
  const SaveResult saved = save_shared(all);
  ASSERT_EQ(saved.warnings.size(), 1u);
  EXPECT_EQ(saved.warnings[0],
            fmt::format("the tensor '{}' of rank 0 differs from that of ranks 1 and 2: replicas "
                        "that ranks hold have drifted apart",
                        name));
  states_["t"] = good;
  expect_exact("t");
}

TEST_F(ShareReplicas, TiedContentIsStoredOnce) {
  State state;
  const Bytes bytes = noise(64 * 64 * 4, 3);
  for (const char* name : {"embed", "head", "other"})
    state[name] = {Dtype::kF32, {64, 64}, Role::kNone, "", bytes};
  state["other"].bytes = noise(64 * 64 * 4, 4);
  const SaveResult saved = save_shared(on(cut_state("tied", state, {1, 1}), {0, 0}));
  EXPECT_EQ(saved.facts.new_bytes, 2u * 64 * 64 * 4);
  states_["tied"] = state;
  expect_exact("tied");
}

TEST_F(ShareReplicas, WhatFailsOnOneRankFailsOnAll) {
  RankRequests all = on(cut_state("t", trainer_.state(), {1, 1}), {0, 0, 0});
  all[1].tensors[0].data = nullptr;
  gpu::FakeGroup group(3);
  const auto ended = store(group, all);
  for (const unsigned rank : {0, 1, 2}) EXPECT_TRUE(fails_with(Code::kUsage, ended[rank]));
  EXPECT_EQ(ended[0].error().message, "rank 1: " + ended[1].error().message);
  EXPECT_TRUE(files_in("packs").empty());
}

TEST_F(ShareReplicas, AnotherTagIsRefused) {
  RankRequests all = on(cut_state("t", trainer_.state(), {1, 1}), {0, 0});
  all[1].tag = "u";
  gpu::FakeGroup group(2);
  for (const Status& status : store(group, all)) EXPECT_TRUE(fails_with(Code::kUsage, status));
}

TEST_F(ShareReplicas, ARankThatDiesIsNamed) {
  const RankRequests all = on(cut_state("t", trainer_.state(), {1, 1}), {0, 0, 0});
  for (uint64_t at = 0; at < 5; ++at) {
    gpu::FakeGroup group(3, {1, 0, 100ms, 2, at});
    const auto ended = store(group, all);
    for (const unsigned rank : {0, 1}) {
      ASSERT_TRUE(fails_with(Code::kUnreachable, ended[rank])) << at;
      EXPECT_NE(ended[rank].error().message.find("rank 2 "), std::string::npos);
    }
    EXPECT_TRUE(files_in("packs").empty());
  }
}

}  // namespace
}  // namespace cairn
