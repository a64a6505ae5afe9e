// What a save notices beside its base: old copies of a state that training moves on.
#include <gmock/gmock.h>

#include "lib/tripwires.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StateChangesTest : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    trainer_.add("a", {40, 100});
    trainer_.add("b", {64});
    trainer_.step();
    save_at("run/1", 1, trainer_.state());
  }

  std::vector<std::string> save_at(const std::string& tag, int64_t step, const State& state,
                                   const Change& change = {}) {
    const auto with_step = [&](SaveRequest& request) {
      request.step = step;
      if (change) change(request);
    };
    return save_state(tag, state, trainer_.facts(), with_step).warnings;
  }

  std::string kept(const std::string& tag) {
    const Metadata metadata = (*open_tag(*store_, tag))->manifest().metadata;
    const auto found = metadata.find(kWarningsKey);
    return found == metadata.end() ? "" : found->second;
  }

  /// The state with the tensors of these roles as they were.
  static State with_old(State state, const State& old, const std::set<Role>& roles) {
    for (auto& [name, tensor] : state) {
      if (roles.contains(tensor.role)) tensor = old.at(name);
    }
    return state;
  }

  Trainer trainer_{5};
};

TEST_F(StateChangesTest, TrainingIsSavedInSilence) {
  for (int64_t step = 2; step < 5; ++step) {
    trainer_.step();
    const std::string tag = "run/" + std::to_string(step);
    EXPECT_THAT(save_at(tag, step, trainer_.state()), IsEmpty());
    EXPECT_EQ(kept(tag), "");
  }
}

TEST_F(StateChangesTest, ARepeatedStateIsTold) {
  EXPECT_THAT(save_at("run/11", 11, trainer_.state()),
              ElementsAre(HasSubstr("the step went from 1 to 11")));
  EXPECT_THAT(kept("run/11"), HasSubstr("the step went from 1 to 11"));
  EXPECT_THAT(save_at("run/again", 11, trainer_.state()), IsEmpty()) << "the same step";
}

TEST_F(StateChangesTest, OldWeightsAreTold) {
  const State old = trainer_.state();
  trainer_.step();
  const State stale = with_old(trainer_.state(), old, {Role::kWeight, Role::kMaster});
  EXPECT_THAT(save_at("run/2", 2, stale), ElementsAre(HasSubstr("the weights may be an old copy")));
}

TEST_F(StateChangesTest, WeightsThatRoundToWhatTheyWereAreNotTold) {
  const State old = trainer_.state();
  trainer_.step();
  const State same = with_old(trainer_.state(), old, {Role::kWeight});
  EXPECT_THAT(save_at("run/2", 2, same), IsEmpty());
}

TEST_F(StateChangesTest, OldMomentsAreTold) {
  const State old = trainer_.state();
  trainer_.step();
  const State stale = with_old(trainer_.state(), old, {Role::kExpAvg, Role::kExpAvgSq});
  EXPECT_THAT(save_at("run/2", 2, stale),
              ElementsAre(HasSubstr("optimizer's state may be an old")));
}

TEST_F(StateChangesTest, AStepAtRateZeroMovesMomentsAlone) {
  const State old = trainer_.state();
  trainer_.step();
  const State warming = with_old(trainer_.state(), old, {Role::kWeight, Role::kMaster});
  EXPECT_THAT(
      save_at("run/2", 2, warming, [](SaveRequest& request) { request.optimizer.common.lr = 0; }),
      IsEmpty());
}

TEST_F(StateChangesTest, FrozenWeightsBesideTrainedOnesAreNotRemarkable) {
  State state = trainer_.state();
  const Bytes frozen(8000, 7);
  state["frozen"] = {Dtype::kBF16, {4000}, Role::kWeight, "frozen", frozen};
  save_at("run/2", 2, state);
  trainer_.step();
  State next = trainer_.state();
  next["frozen"] = state["frozen"];
  EXPECT_THAT(save_at("run/3", 3, next), IsEmpty());
}

TEST_F(StateChangesTest, MovingBuffersDoNotHideOldWeights) {
  State state = trainer_.state();
  state["mean"] = {Dtype::kF32, {400}, Role::kWeight, "mean", Bytes(1600, 1)};
  save_at("run/2", 2, state);
  trainer_.step();
  State next = with_old(trainer_.state(), state, {Role::kWeight, Role::kMaster});
  next["mean"] = {Dtype::kF32, {400}, Role::kWeight, "mean", Bytes(1600, 2)};
  EXPECT_THAT(save_at("run/3", 3, next), ElementsAre(HasSubstr("no weight that it steps does")));
}

TEST_F(StateChangesTest, WhatTheCallerFoundIsKeptToo) {
  trainer_.step();
  const auto with_warning = [](SaveRequest& request) { request.warnings = {"rank 1 is odd"}; };
  EXPECT_THAT(save_at("run/2", 2, trainer_.state(), with_warning), ElementsAre("rank 1 is odd"));
  EXPECT_EQ(kept("run/2"), R"(["rank 1 is odd"])");
}

TEST_F(StateChangesTest, ARepeatedSaveIsTheSameWhateverItFoundAtFirst) {
  const auto same = [](SaveRequest& request) { request.if_exists = IfExists::kSame; };
  EXPECT_THAT(save_at("run/11", 11, trainer_.state(), same), testing::SizeIs(1));
  EXPECT_THAT(save_at("run/11", 11, trainer_.state(), same), IsEmpty()) << "beside itself";
  EXPECT_NE(kept("run/11"), "");
}

TEST_F(StateChangesTest, TensorsThatAreNewOrHaveAnotherShapeAreNotCompared) {
  State other = trainer_.state();
  for (auto& [name, tensor] : other) {
    tensor.shape.push_back(1);
  }
  EXPECT_THAT(save_at("run/11", 11, other), IsEmpty());
}

}  // namespace
}  // namespace cairn
