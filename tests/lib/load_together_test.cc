// Loads by ranks that want the same: read once, passed on.
#include "lib/load_together.h"

#include "tests/lib/parts_fixture.h"
#include "tests/lib/rank_threads.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class LoadsTogether : public TrainedParts {
 protected:
  struct Held {
    std::vector<Bytes> memory;
    LoadRequest request;
    LoadResult result;
  };

  /// The boxes of a rank of a mesh, in memory of their own.
  static Held held(const State& state, const Mesh& mesh, uint32_t place) {
    Held rank;
    const RankRequests cut = cut_state("", state, mesh);
    for (const TensorSource& source : cut[place].tensors) {
      const StorageForm form = *storage_form(source.dtype, source.shape);
      const Box box = *storage_box(form, source.shape, source.box);
      Bytes& memory = rank.memory.emplace_back(box.elements() * form.item_bytes + 1, 0xEE);
      rank.request.targets.push_back(
          {source.name, source.dtype, source.shape, source.box, memory.data(), {}});
    }
    rank.request.call.threads = 1;
    return rank;
  }
  std::vector<Status> load_all(gpu::FakeGroup& group, std::vector<Held>& ranks,
                               const std::string& tag) {
    return as_ranks(group, [&](unsigned rank, const RankGroup& lent) -> Status {
      CAIRN_TRY(const auto checkpoint, open_tag(*store_, tag));
      CAIRN_TRY(ranks[rank].result, load_together(*checkpoint, ranks[rank].request, lent));
      return {};
    });
  }
  /// What every rank has is what a load alone gives it.
  void expect_as_alone(const std::vector<Held>& ranks, const State& state, const std::string& tag,
                       const std::vector<std::pair<Mesh, uint32_t>>& places) {
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      Held alone = held(state, places[rank].first, places[rank].second);
      const auto checkpoint = open_tag(*store_, tag);
      ASSERT_TRUE(checkpoint);
      ASSERT_TRUE(succeeds(load(**checkpoint, alone.request)));
      EXPECT_EQ(ranks[rank].memory, alone.memory) << rank;
    }
  }
  void loads(const State& state, const std::string& tag,
             const std::vector<std::pair<Mesh, uint32_t>>& places, double of_once = 10) {
    gpu::FakeGroup group(static_cast<unsigned>(places.size()), {places.size(), 100});
    std::vector<Held> ranks;
    for (const auto& [mesh, place] : places) ranks.push_back(held(state, mesh, place));
    for (const Status& status : load_all(group, ranks, tag)) EXPECT_TRUE(succeeds(status));
    expect_as_alone(ranks, state, tag, places);
    uint64_t chunks = 0, read = 0;
    for (const Held& rank : ranks) {
      chunks += rank.result.chunks;
      read += rank.result.read_bytes;
    }
    Held all = held(state, {1, 1}, 0);
    const auto once = load(**open_tag(*store_, tag), all.request);
    ASSERT_TRUE(succeeds(once));
    EXPECT_EQ(chunks, once->chunks) << "each is read by one rank";
    EXPECT_LE(static_cast<double>(read), of_once * static_cast<double>(once->read_bytes));
  }
};

TEST_F(LoadsTogether, ReplicasAreReadOnce) {
  save_alone("t", state_);
  for (const uint32_t ranks : {2u, 3u, 5u})
    loads(state_, "t", std::vector<std::pair<Mesh, uint32_t>>(ranks, {{1, 1}, 0}));
}

TEST_F(LoadsTogether, HalvesOfTwoRanksEach) {
  save_alone("t", state_);
  loads(state_, "t", {{{2, 1}, 0}, {{2, 1}, 1}, {{2, 1}, 0}, {{2, 1}, 1}});
  loads(state_, "t", {{{2, 1}, 0}, {{1, 3}, 2}, {{1, 1}, 0}});
  loads(state_, "t", {{{2, 2}, 0}, {{2, 2}, 1}, {{2, 2}, 2}, {{2, 2}, 3}});
}

/// Reads are long, so what lies between them is little.
TEST_F(LoadsTogether, BytesAreReadOnce) {
  State state;
  for (const char* name : {"a", "b"})
    state[name] = {Dtype::kF32, {2048, 1000}, Role::kNone, "", noise(8192 * 1000, name[0])};
  SaveRequest request = cut_state("t", state, {1, 1})[0];
  request.call.threads = 1;  // neighbours lie side by side
  ASSERT_TRUE(succeeds(save(*store_, request)));
  loads(state, "t", std::vector<std::pair<Mesh, uint32_t>>(3, {{1, 1}, 0}), 1.05);
  loads(state, "t", {{{2, 1}, 0}, {{2, 1}, 1}, {{2, 1}, 0}, {{2, 1}, 1}}, 1.05);
}

/// What is made from each other is read by one rank.
TEST_F(LoadsTogether, ASeriesOfATrainer) {
  save_step("run/1", {1, 1});
  trainer_.step();
  save_step("run/2", {1, 1});
  const State state = trainer_.state();
  loads(state, "run/2", std::vector<std::pair<Mesh, uint32_t>>(3, {{1, 1}, 0}));
  loads(state, "run/2", {{{2, 1}, 0}, {{2, 1}, 1}, {{2, 1}, 0}, {{2, 1}, 1}});
}

TEST_F(LoadsTogether, CastsAndStridesAreEachRanksOwn) {
  const Shape shape{64, 64};
  State state{{"w", {Dtype::kF32, shape, Role::kNone, "", Bytes(64 * 64 * 4)}}};
  for (size_t i = 0; i < 64 * 64; ++i) {
    const float value = static_cast<float>(i) / 8;
    std::memcpy(&state["w"].bytes[i * 4], &value, 4);
  }
  save_alone("t", state);
  std::vector<Held> ranks;
  for (int i = 0; i < 2; ++i) ranks.push_back(held(state, {1, 1}, 0));
  ranks[1].request.cast = true;
  ranks[1].request.targets[0].dtype = Dtype::kBF16;
  ranks[1].request.targets[0].strides_bytes = {2, 128};
  gpu::FakeGroup group(2);
  for (const Status& status : load_all(group, ranks, "t")) EXPECT_TRUE(succeeds(status));
  Held alone = held(state, {1, 1}, 0);
  alone.request = ranks[1].request;
  alone.request.targets[0].data = alone.memory[0].data();
  ASSERT_TRUE(succeeds(load(**open_tag(*store_, "t"), alone.request)));
  EXPECT_EQ(ranks[1].memory, alone.memory);
  EXPECT_EQ(0, std::memcmp(ranks[0].memory[0].data(), state["w"].bytes.data(), 64 * 64 * 4));
}

TEST_F(LoadsTogether, WhatFailsOnOneRankFailsOnAll) {
  save_alone("t", state_);
  std::vector<Held> ranks;
  for (int i = 0; i < 2; ++i) ranks.push_back(held(state_, {1, 1}, 0));
  ranks[1].request.targets[0].name = "nowhere";
  gpu::FakeGroup group(2);
  const auto ended = load_all(group, ranks, "t");
  ASSERT_TRUE(fails_with(Code::kUsage, ended[0]));
  ASSERT_TRUE(fails_with(Code::kUsage, ended[1]));
  EXPECT_EQ(ended[0].error().message, "rank 1: " + ended[1].error().message);
}

TEST_F(LoadsTogether, DamageIsToldToAll) {
  save_alone("t", state_);
  for (const std::string& pack : files_in("packs")) {
    Bytes bytes = *read_file(posix_fs(), path() + "/" + pack, kMiB);
    for (size_t at = 4096; at < bytes.size(); at += 64) bytes[at] ^= 1;
    ASSERT_TRUE(posix_fs().remove(path() + "/" + pack));
    ASSERT_TRUE(write_new_file(posix_fs(), path() + "/" + pack, bytes));
  }
  std::vector<Held> ranks;
  for (int i = 0; i < 3; ++i) ranks.push_back(held(state_, {1, 1}, 0));
  gpu::FakeGroup group(3);
  for (const Status& status : load_all(group, ranks, "t"))
    EXPECT_TRUE(fails_with(Code::kCorrupt, status));
}

TEST_F(LoadsTogether, ARankThatDiesIsNamed) {
  save_alone("t", state_);
  for (uint64_t at = 0; at < 6; ++at) {
    std::vector<Held> ranks;
    for (int i = 0; i < 3; ++i) ranks.push_back(held(state_, {1, 1}, 0));
    gpu::FakeGroup group(3, {1, 0, 100ms, 2, at});
    const auto ended = load_all(group, ranks, "t");
    EXPECT_FALSE(ended[2]);
    for (const unsigned rank : {0, 1})
      EXPECT_TRUE(fails_with(Code::kUnreachable, ended[rank])) << at;
  }
}

}  // namespace
}  // namespace cairn
