// Stores that live at random: saves of all kinds, reverts, forks, replacements, thinning,
// forgetting and collections, in any order. Whatever was saved last under a name is what loads.
#include <fmt/format.h>

#include "store/commit.h"
#include "store/thin.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

class AnyLife : public SeriesFixture, public testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    random_.seed(GetParam());
    trainer_ = std::make_unique<Trainer>(GetParam());
    trainer_->add("a", {64, 40});
    trainer_->add("b", {30, 33}, Dtype::kF16);
    trainer_->add("c", {4});
    trainer_->add("d", {70});
    trainer_->add("e", {1100});
    trainer_->add("f", {0, 3});
    trainer_->add(paged_, {32, 40});
    tie();
  }

  unsigned below(unsigned most) { return random_() % most; }
  bool coin() { return below(2) == 0; }

  /// Tensors that say the same under other names, in groups of their own and alone.
  void tie() {
    State& state = trainer_->state();
    for (const char* suffix : {".first", ".second", ".weight", ".master"}) {
      HeldTensor tied = state["a" + std::string(suffix)];
      state["t" + std::string(suffix)] = tied;
      state["t" + std::string(suffix)].parameter = "t";
      tied.role = Role::kNone;
      tied.parameter = "";
      state["u" + std::string(suffix)] = tied;
      // Pages that are equal within one tag.
      state[twin_ + suffix] = state[paged_ + suffix];
      state[twin_ + suffix].parameter = twin_;
    }
    state["frozen"] = {Dtype::kBF16, {50, 50}, Role::kWeight, "z", noise(5000, 3)};
  }

  std::string any_tag() {
    auto at = states_.begin();
    std::advance(at, below(static_cast<unsigned>(states_.size())));
    return at->first;
  }

  void save_any() {
    State state = trainer_->state();
    if (!states_.empty() && below(4) == 0) {
      state = states_[any_tag()];
      log_ += " reverted";
    } else {
      trainer_->step();
      if (below(8) == 0) trainer_->poison();
      tie();
      state = trainer_->state();
    }
    // Frozen parts, and parts that are left out.
    if (!states_.empty() && coin()) {
      const State& other = states_[any_tag()];
      for (auto& [name, tensor] : state) {
        if (below(4) == 0 && other.contains(name)) tensor = other.at(name);
      }
    }
    if (below(6) == 0) {
      std::erase_if(state, [&](const auto& each) { return each.first.starts_with("d."); });
    }
    const std::string tag =
        !states_.empty() && below(6) == 0 ? any_tag() : fmt::format("t/{}", number_++);
    StepFacts facts = trainer_->facts();
    if (below(5) == 0) facts.lr = 0.5;
    const auto change = [&](SaveRequest& request) {
      request.if_exists = IfExists::kReplace;
      const double budgets[] = {1, 1.5, 2, 4, 1000};
      request.restore_budget = budgets[below(5)];
      request.weights_every = static_cast<uint32_t>(below(4));
      request.optimizer.predict = below(5) != 0;
      request.effort = below(4) == 0 ? Effort::kSmall : Effort::kBalanced;
      if (below(10) == 0) request.zstd_level = 1;
      if (below(5) == 0) request.base = "none";
      if (!states_.empty() && below(4) == 0) request.base = any_tag();
      log_ += fmt::format(" save {} budget {} direct {} base {}", tag, request.restore_budget,
                          request.weights_every, request.base.value_or("-"));
    };
    save_state(tag, state, facts, change, {below(3) == 0 ? 3u : 1u, 0});
  }

  void forget_any() {
    if (states_.size() < 2) return;
    const std::string tag = any_tag();
    log_ += " forget " + tag;
    forget({tag});
  }

  void thin_any() {
    const std::string tag = any_tag();
    State& state = states_[tag];
    const std::string glob = coin() ? "*.second" : "*.master";
    log_ += " thin " + tag + " " + glob;
    const auto bytes = [&](const TensorInfo& tensor) -> Result<uint64_t> {
      return state.at(tensor.name).bytes.size();
    };
    ASSERT_TRUE(succeeds(thin_tags(*store_, {*store_->find_tag(tag)}, {glob}, bytes, false, 0ms)));
    std::erase_if(state, [&](const auto& each) { return each.first.ends_with(glob.substr(1)); });
  }

  void fork_any() {
    const std::string tag = any_tag(), name = fmt::format("t/{}", number_++);
    log_ += " fork " + tag + " " + name;
    ASSERT_TRUE(succeeds(fork_tag(*store_, name, tag, 0ms)));
    states_[name] = states_[tag];
  }

  void collect_any() {
    GcRequest request;
    request.rebase = coin();
    log_ += request.rebase ? " rebase" : " collect";
    const auto plan = plan_collection(*store_, request);
    ASSERT_TRUE(succeeds(plan));
    const auto report = collect(*store_, request);
    ASSERT_TRUE(succeeds(report));
    if (!request.rebase) {
      EXPECT_EQ(plan->freed_bytes, report->freed_bytes);
    }
    EXPECT_TRUE(report->failures.empty());
  }

  std::mt19937 random_;
  std::unique_ptr<Trainer> trainer_;
  int number_ = 0;
  std::string log_;
  const std::string paged_ = paged_parameter("p"), twin_ = paged_parameter("q");
};

TEST_P(AnyLife, WhatWasSavedLoads) {
  for (int turn = 0; turn < 20 && !HasFailure(); ++turn) {
    const unsigned what = states_.size() < 2 ? 0 : below(20);
    if (what < 11) save_any();
    if (what >= 11 && what < 14) forget_any();
    if (what == 14) thin_any();
    if (what == 15) fork_any();
    if (what > 15) collect_any();
    expect_sound();
  }
  if (HasFailure()) ADD_FAILURE() << log_;
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyLife, testing::Range(0u, 6u));

}  // namespace
}  // namespace cairn
