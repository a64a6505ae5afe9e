// Series of checkpoints of a training run that several ranks save.
#include <fmt/format.h>

#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

TEST_F(TrainedParts, StepsAreReplayedOnEveryRank) {
  for (const Mesh& mesh : {Mesh{2, 1}, Mesh{1, 3}, Mesh{2, 2}}) {
    const std::string run = fmt::format("run{}{}/", mesh.rows, mesh.columns);
    for (int step = 0; step < 5; ++step) {
      trainer_.step();
      save_step(run + std::to_string(step), mesh);
    }
    const auto held = encodings(run + "4");
    EXPECT_GT(held.at("replay"), 0u);
    EXPECT_GT(held.at("derived"), 0u);
    for (const auto& [tag, state] : states_) expect_boxes(tag, 5);
  }
  expect_sound();
  forget({"run21/0", "run13/1", "run22/2"});
  collect_all();
  expect_sound();
}

/// The base was cut in another way, by another number of ranks.
TEST_F(TrainedParts, RanksMayChange) {
  const Mesh meshes[] = {{2, 1}, {4, 1}, {1, 2}, {1, 1}, {2, 2}};
  for (int step = 0; step < 10; ++step) {
    trainer_.step();
    save_step(fmt::format("run/{}", step), meshes[step % std::size(meshes)]);
  }
  expect_sound();
}

TEST_F(TrainedParts, WholeSavesAndPartsFollowEachOther) {
  for (int step = 0; step < 6; ++step) {
    trainer_.step();
    const std::string tag = fmt::format("run/{}", step);
    if (step % 2 == 0) {
      save_step(tag, {2, 1});
    } else {
      save_trainer(tag, trainer_);
    }
  }
  expect_sound();
}

TEST_F(TrainedParts, ABaseInMemoryIsUsed) {
  trainer_.step();
  save_step("run/0", {3, 1});
  const State before = trainer_.state();
  trainer_.step();
  const RankRequests old = cut_state("", before, {3, 1});
  RankRequests now = requests("run/1", {3, 1});
  for (size_t rank = 0; rank < now.size(); ++rank) now[rank].base_memory = old[rank].tensors;
  ASSERT_TRUE(succeeds(save_together(now)));
  states_["run/1"] = trainer_.state();
  EXPECT_GT(encodings("run/1").at("replay"), 0u);
  expect_sound();
}

/// The weights are on every rank, their masters and moments on one.
TEST_F(TrainedParts, ShardedOptimizersOfReplicatedWeights) {
  for (int step = 0; step < 8; ++step) {
    if (step != 3) trainer_.step();
    const std::string tag = fmt::format("run/{}", step);
    RankRequests all = requests(tag, {3, 1});
    for (uint32_t rank = 0; rank < 3; ++rank) {
      std::erase_if(all[rank].tensors,
                    [](const TensorSource& source) { return source.role == Role::kWeight; });
      for (const auto& [name, tensor] : trainer_.state()) {
        if (tensor.role != Role::kWeight) continue;
        all[rank].tensors.push_back(box_of(name, tensor, whole_box(tensor.shape), rank));
      }
      all[rank].restore_budget = step % 2 == 0 ? 1 : 4;
    }
    const auto saved = save_together(all);
    ASSERT_TRUE(succeeds(saved)) << tag;
    EXPECT_TRUE(saved->warnings.empty());
    states_[tag] = trainer_.state();
  }
  expect_sound();
  collect_all();
  expect_sound();
}

/// Pieces of unchanged weights too: without, they would stay made from their masters.
TEST_F(TrainedParts, WeightsAreDirectWhenTheyAreDue) {
  const Mesh columns{1, 3};
  trainer_.step();
  save_step("run/0", columns);
  trainer_.step();
  save_step("run/1", columns);
  const auto derived = encodings("run/1", Role::kWeight);
  EXPECT_TRUE(derived.contains("derived") || derived.contains("replay"));
  const auto direct = [](SaveRequest& request) { request.weights_every = 1; };
  const SaveResult saved = save_step("run/2", columns, direct);
  EXPECT_EQ(saved.facts.weights_age, 0u);
  const auto held = encodings("run/2", Role::kWeight);
  EXPECT_FALSE(held.contains("derived"));
  EXPECT_FALSE(held.contains("replay"));
  expect_sound();
}

/// What the uniting process says of weights is nothing: they are stored by then.
TEST_F(TrainedParts, TheAgeOfWeightsIsThatOfTheParts) {
  trainer_.step();
  save_step("run/0", {2, 1});
  trainer_.step();
  const RankRequests all = requests("run/1", {2, 1});
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  request.weights_every = 1;
  request.pinned = true;
  const auto saved = save(*store_, request);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->facts.weights_age, 1u);
  EXPECT_TRUE(store_->find_tag("run/1")->pinned);
}

}  // namespace
}  // namespace cairn
