// A training run saved step by step, its copies made from each other, loads as it was: every tag,
// whole and by boxes, in any order, whatever the store was told of it.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "store/bases.h"
#include "store/chain_groups.h"
#include "store/decode_order.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class Series : public SeriesFixture {
 protected:
  /// Changes the first stored copy bytes of every pack.
  void spoil_packs() const {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(store_->path() + "/packs")) {
      if (!entry.is_regular_file()) continue;
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_write,
                                   std::filesystem::perm_options::add);
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(32);
      file << std::string(std::min<uint64_t>(entry.file_size() / 2, 4096), 'x');
    }
  }
  std::string next_tag() { return fmt::format("run/{:02}", number_++); }
  void save_steps(Trainer& trainer, int count, const Change& change = {}, const Cut& cut = {1, 0}) {
    for (int i = 0; i < count; ++i) {
      trainer.step();
      save_trainer(next_tag(), trainer, change, cut);
    }
  }
  static Change with_budget(double budget) {
    return [=](SaveRequest& request) { request.restore_budget = budget; };
  }
  std::string newest() const { return fmt::format("run/{:02}", number_ - 1); }

  int number_ = 0;
};

TEST_F(Series, EveryTagLoadsInAnyOrder) {
  Trainer trainer(1);
  trainer.add("matrix", {70, 61});
  trainer.add("half", {40, 33}, Dtype::kF16);
  trainer.add("vector", {1500});
  trainer.add("empty", {0, 5});
  save_steps(trainer, 8);
  auto counts = encodings(newest());
  for (const char* encoding : {"replay", "derived"}) EXPECT_GT(counts[encoding], 8u) << encoding;
  EXPECT_EQ(counts["raw"], 0u);
  EXPECT_GT(encodings("run/00")["planes"], 8u);
  EXPECT_GT(encodings("run/00", Role::kMaster)["derived"], 0u) << "a keyframe's, of its weight";
  EXPECT_EQ(encodings("run/00", Role::kWeight)["derived"], 0u);
  std::vector<std::string> tags;
  for (const auto& [tag, state] : states_) tags.push_back(tag);
  std::shuffle(tags.begin(), tags.end(), std::mt19937(3));
  for (const std::string& tag : tags) expect_exact(tag);
  for (const std::string& tag : tags) expect_boxes(tag, 7);
  expect_sound();
}

TEST_F(Series, StepsCostLittleWhereTheyCanBeReplayed) {
  Trainer trainer(1);
  trainer.add("p", {64, 256});
  save_steps(trainer, 3, with_budget(1000));
  uint64_t stored = 0;
  auto checkpoint = *open_tag(*store_, newest());
  for (const char* name : {"p.second", "p.master", "p.weight"}) {
    stored += describe_tensor(*checkpoint, *checkpoint->find_tensor(name))->stored_bytes;
  }
  EXPECT_LT(stored, 64u * 256 * 10 / 20) << "all but the gradient follows";
}

TEST_F(Series, FloatsThatAreNoNumbers) {
  Trainer trainer(2);
  trainer.add("a", {64, 40});
  trainer.add("b", {1300}, Dtype::kF16);
  for (int i = 0; i < 8; ++i) {
    trainer.step();
    if (i % 3 != 0) trainer.poison();
    save_trainer(next_tag(), trainer);
  }
  EXPECT_GT(encodings(newest())["delta"] + encodings(newest())["replay"], 0u);
  expect_sound();
}

TEST_F(Series, TensorsOfAnySmallSize) {
  Trainer trainer(3);
  for (uint64_t items : {1, 2, 3, 5, 31, 63, 64, 65, 66, 75, 100, 127, 128, 129, 130, 150}) {
    trainer.add(fmt::format("p{}", items), {items});
  }
  for (uint64_t bytes = 1; bytes <= 300; bytes += 13) {
    trainer.state()[fmt::format("bytes/{}", bytes)] = {Dtype::kU8,
                                                       {bytes},
                                                       Role::kWeight,
                                                       fmt::format("b{}", bytes),
                                                       noise(bytes, uint32_t(bytes))};
  }
  for (int i = 0; i < 5; ++i) {
    for (auto& [name, tensor] : trainer.state()) {
      if (name.starts_with("bytes/")) ++tensor.bytes[tensor.bytes.size() / 2];
    }
    save_steps(trainer, 1);
  }
  EXPECT_GT(encodings(newest())["inline"], 30u);
  EXPECT_GT(encodings(newest())["sparse"] + encodings(newest())["delta"], 0u);
  expect_sound();
}

TEST_F(Series, PiecesOfSeveralWriters) {
  Trainer trainer(4);
  trainer.add("p", {64, 96});
  trainer.add("q", {100, 40});
  save_steps(trainer, 3, {}, {3, 1});
  auto counts = encodings(newest());
  EXPECT_GT(counts["replay"], 20u) << "pieces of the same cut are made from each other";
  EXPECT_EQ(counts["planes"] + counts["raw"], 0u);
  save_steps(trainer, 1, {}, {2, 1});
  counts = encodings(newest());
  EXPECT_EQ(counts["replay"] + counts["delta"], 0u) << "another cut begins anew";
  EXPECT_GT(counts["planes"], 0u);
  save_steps(trainer, 2, {}, {2, 1});
  save_steps(trainer, 2);
  expect_sound();
  for (const auto& [tag, state] : states_) expect_boxes(tag, 5);
}

TEST_F(Series, TensorsOfOneParameterThatAreCutInDifferentWays) {
  Trainer trainer(5);
  trainer.add("p", {60, 90});
  for (int step = 0; step < 4; ++step) {
    trainer.step();
    SaveRequest request;
    request.tag = next_tag();
    request.optimizer.common = trainer.facts();
    uint64_t parts = 1;
    for (const auto& [name, tensor] : trainer.state()) {
      add_tensor(name, tensor, {parts++, 1}, request);
    }
    ASSERT_TRUE(succeeds(save(*store_, request)));
    states_[request.tag] = trainer.state();
  }
  EXPECT_GT(encodings(newest())["delta"] + encodings(newest())["replay"], 0u);
  expect_sound();
}

TEST_F(Series, EveryEffort) {
  Trainer trainer(6);
  trainer.add("p", {70, 61});
  for (const Effort effort : {Effort::kFast, Effort::kBalanced, Effort::kSmall, Effort::kFast}) {
    save_steps(trainer, 2, [=](SaveRequest& request) { request.effort = effort; });
  }
  save_steps(trainer, 2, [](SaveRequest& request) { request.zstd_level = 3; });
  auto counts = encodings(newest());
  EXPECT_EQ(counts["replay"] + counts["delta"] + counts["planes"] + counts["derived"], 0u);
  save_steps(trainer, 2);
  EXPECT_GT(encodings(newest())["replay"], 0u);
  expect_sound();
}

TEST_F(Series, WrongFacts) {
  const std::function<void(StepFacts&)> errors[] = {
      [](StepFacts& facts) { facts.lr = *facts.lr * 3; },
      [](StepFacts& facts) { facts.step = 1; },
      [](StepFacts& facts) { facts.clip = 1e-30; },
      [](StepFacts& facts) { facts = {}; },
      [](StepFacts& facts) { facts.lr = NAN; },
      [](StepFacts& facts) { facts.optimizer = OptimizerKind::kSgd; },
      [](StepFacts& facts) { facts.beta1 = facts.beta2 = 1; }};
  Trainer trainer(7);
  trainer.add("p", {70, 61});
  for (const auto& error : errors) {
    trainer.step();
    StepFacts facts = trainer.facts();
    error(facts);
    save_state(next_tag(), trainer.state(), facts);
  }
  expect_sound();
}

TEST_F(Series, WrongRoles) {
  Trainer trainer(8);
  trainer.add("p", {70, 61});
  std::vector<Role> roles = {Role::kWeight, Role::kMaster, Role::kExpAvg, Role::kExpAvgSq};
  std::sort(roles.begin(), roles.end());
  do {
    trainer.step();
    State state = trainer.state();
    size_t next = 0;
    for (auto& [name, tensor] : state) tensor.role = roles[next++];
    save_state(next_tag(), state, trainer.facts());
  } while (std::next_permutation(roles.begin(), roles.end()));
  expect_sound();
}

TEST_F(Series, WithoutPrediction) {
  Trainer trainer(9);
  trainer.add("p", {70, 61});
  save_steps(trainer, 4, [](SaveRequest& request) { request.optimizer.predict = false; });
  EXPECT_EQ(encodings(newest())["replay"], 0u);
  EXPECT_GT(encodings(newest())["delta"] + encodings(newest())["sparse"], 0u);
  EXPECT_GT(encodings(newest())["derived"], 0u) << "a rounding is no prediction";
  expect_sound();
}

/// The caller's snapshot of the last step, moved to memory of its own.
TEST_F(Series, ABaseInMemoryIsNotReadAgain) {
  Trainer trainer(13);
  trainer.add("p", {70, 61});
  trainer.add("q", {2000});
  save_steps(trainer, 2);
  const State last = trainer.state();
  trainer.step();
  const auto with_memory = [&](SaveRequest& request) {
    request.base = "run/01";
    request.base_memory = request_of("", last, {3, 0}).tensors;
  };
  const auto saved = [&](const Change& change) {
    return save_trainer(next_tag(), trainer, change).facts.stored_bytes;
  };
  const uint64_t read = saved({}), recalled = saved(with_memory);
  EXPECT_NEAR(static_cast<double>(recalled), static_cast<double>(read), read / 20.0);
  expect_sound();
  spoil_packs();
  EXPECT_LT(saved(with_memory), read + read / 20);
  EXPECT_GT(saved([](SaveRequest& request) { request.base = "run/01"; }), 2 * read)
      << "what cannot be read is not built upon";
}

TEST_F(Series, AWrongBaseInMemoryIsSeen) {
  Trainer trainer(14);
  trainer.add("p", {70, 61});
  save_steps(trainer, 2);
  State last = trainer.state();
  for (auto& [name, tensor] : last) tensor.bytes[tensor.bytes.size() / 2] ^= 1;
  trainer.step();
  save_trainer(next_tag(), trainer, [&](SaveRequest& request) {
    request.base_memory = request_of("", last, {1, 0}).tensors;
    request.base_memory.pop_back();
    request.base_memory.front().shape = {1};
  });
  EXPECT_GT(encodings(newest())["replay"], 0u) << "it is read from the store";
  expect_sound();
}

/// Masters move by less than their weights can tell.
TEST_F(Series, WhatDoesNotChangeBeginsAnewToo) {
  Trainer trainer(15);
  trainer.add("p", {70, 61});
  trainer.facts_of_all().lr = 1e-9;
  for (int step = 0; step < 4; ++step) {
    save_steps(trainer, 1, with_budget(step == 3 ? 1 : 1000));
  }
  ASSERT_EQ(states_.at("run/02").at("p.weight"), states_.at("run/03").at("p.weight"));
  EXPECT_FALSE((*open_tag(*store_, "run/02"))->table().closure.empty());
  EXPECT_TRUE((*open_tag(*store_, "run/03"))->table().closure.empty());
  expect_sound();
}

TEST_F(Series, AChainThatLostAPackIsNotTakenOver) {
  const auto packs = [&] {
    std::set<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(store_->path() + "/packs")) {
      if (entry.is_regular_file()) files.insert(entry.path());
    }
    return files;
  };
  Trainer trainer(16);
  trainer.add("p", {70, 61});
  save_steps(trainer, 1);
  const auto first = packs();
  save_steps(trainer, 2);
  for (const auto& file : first) std::filesystem::remove(file);
  save_trainer("again", trainer, [](SaveRequest& request) { request.base = "run/02"; });
  expect_exact("again");
}

TEST_F(Series, ComplexParameters) {
  State state;
  std::mt19937 random(3);
  for (int step = 0; step < 3; ++step) {
    for (const auto& [name, dtype, role] : {std::tuple("w", Dtype::kC64, Role::kWeight),
                                            {"first", Dtype::kC64, Role::kExpAvg},
                                            {"second", Dtype::kF32, Role::kExpAvgSq}}) {
      Bytes bytes;
      const size_t numbers = dtype == Dtype::kC64 ? 200'000 : 100'000;
      for (size_t i = 0; i < numbers; ++i) {
        append_le(bytes, std::normal_distribution<float>()(random));
      }
      state[name] = {dtype, {100'000}, role, "p", std::move(bytes)};
    }
    save_state(next_tag(), state);
  }
  expect_sound();
}

/// The first rank holds nothing of either.
TEST_F(Series, PairsWhoseFirstBoxesAreEmpty) {
  Trainer trainer(17);
  trainer.add("p", {64, 64});
  for (int step = 0; step < 2; ++step) {
    trainer.step();
    State state = trainer.state();
    state.erase("p.first");
    state.erase("p.second");
    for (auto& [name, tensor] : state) tensor.role = Role::kNone;
    save_state(next_tag(), state, {}, [](SaveRequest& request) {
      const std::vector<TensorSource> held = request.tensors;
      request.tensors.clear();
      for (TensorSource source : held) {
        TensorSource nothing = source;
        nothing.box.lengths[0] = 0;
        nothing.data = nullptr;
        source.writer = 1;
        request.tensors.insert(request.tensors.end(), {nothing, source});
      }
    });
  }
  EXPECT_GT(encodings(newest())["derived"], 0u);
  expect_sound();
}

class Weights : public Series {
 protected:
  struct Needed {
    size_t weights = 0, copies = 0, of_others = 0;
  };
  /// What the weights of a tag are made from.
  Needed needed_of(const std::string& tag) {
    auto checkpoint = *open_tag(*store_, tag);
    std::vector<CopyRef> weights;
    for (const auto& [name, tensor] : states_.at(tag)) {
      if (tensor.role != Role::kWeight) continue;
      const size_t item = *checkpoint->find_tensor(name);
      for (uint64_t chunk = 0; chunk < checkpoint->chunk_count(item); ++chunk) {
        const PagePlan::Place place = checkpoint->plan().place(item, chunk);
        const auto page = *checkpoint->page(place.page);
        weights.push_back({static_cast<uint32_t>(place.page), page->first_slots[place.entry]});
      }
    }
    std::set<Digest> of_weights;
    for (const auto& [other, state] : states_) {
      for (const auto& [name, tensor] : state) {
        if (tensor.role == Role::kWeight) add_digests(other, name, of_weights);
      }
    }
    const auto read = [&](size_t number) -> Result<Locator> {
      return (*checkpoint->page(number))->locator;
    };
    Needed needed{weights.size(), 0, 0};
    const auto count = [&](const CopyRef& ref, const Copy&) -> Status {
      ++needed.copies;
      const auto page = *checkpoint->page(ref.page);
      needed.of_others += !of_weights.contains(page->digest_of(ref.slot));
      return {};
    };
    EXPECT_TRUE(follow_bases(weights, checkpoint->page_numbers(), read, count));
    return needed;
  }

  void add_digests(const std::string& tag, const std::string& name, std::set<Digest>& digests) {
    auto checkpoint = *open_tag(*store_, tag);
    const size_t item = *checkpoint->find_tensor(name);
    for (uint64_t chunk = 0; chunk < checkpoint->chunk_count(item); ++chunk) {
      const PagePlan::Place place = checkpoint->plan().place(item, chunk);
      const auto page = *checkpoint->page(place.page);
      digests.insert(page->digest_of(page->first_slots[place.entry]));
    }
  }
};

TEST_F(Weights, DirectOnesNeedNoMasters) {
  Trainer trainer(10);
  trainer.add("p", {70, 61});
  trainer.add("q", {2000});
  save_steps(trainer, 6, [](SaveRequest& request) { request.weights_every = 1; });
  EXPECT_GT(
      encodings(newest(), Role::kMaster)["derived"] + encodings(newest(), Role::kMaster)["replay"],
      0u);
  const Needed needed = needed_of(newest());
  EXPECT_EQ(needed.of_others, 0u);
  EXPECT_GT(needed.copies, needed.weights) << "they have chains of their own";
  expect_sound();
}

TEST_F(Weights, AreDirectFromTheTagOnThatAsksForIt) {
  Trainer trainer(11);
  trainer.add("p", {70, 61});
  trainer.add("still", {900});
  save_steps(trainer, 3, [](SaveRequest& request) { request.weights_every = 0; });
  EXPECT_GT(needed_of(newest()).of_others, 0u);
  save_steps(trainer, 2, [](SaveRequest& request) { request.weights_every = 1; });
  EXPECT_EQ(needed_of(newest()).of_others, 0u);
  // Also where nothing changed: the copies of the base would not do.
  save_steps(trainer, 2, [](SaveRequest& request) { request.weights_every = 0; });
  ASSERT_GT(needed_of(newest()).of_others, 0u);
  save_state(next_tag(), trainer.state(), trainer.facts(),
             [](SaveRequest& request) { request.pinned = true; });
  EXPECT_EQ(needed_of(newest()).of_others, 0u);
  EXPECT_TRUE((*open_tag(*store_, newest()))->tag().pinned);
  expect_sound();
}

TEST_F(Weights, AreDirectInEverySoManyth) {
  Trainer trainer(12);
  trainer.add("p", {70, 61});
  std::string direct;
  for (int tag = 0; tag < 9; ++tag) {
    save_steps(trainer, 1, [](SaveRequest& request) {
      request.weights_every = 4;
      request.restore_budget = 1000;
    });
    direct += needed_of(newest()).of_others == 0 ? '1' : '0';
  }
  EXPECT_EQ(direct, "100010001");
  expect_sound();
}

TEST_F(Series, EqualTensorsAndChunks) {
  Trainer trainer(11);
  trainer.add("a", {64, 64});
  trainer.add("b", {64, 64});
  for (int i = 0; i < 4; ++i) {
    trainer.step();
    State state = trainer.state();
    for (const auto& [name, tensor] : trainer.state()) {
      if (!name.starts_with("a.")) continue;
      // In a group of its own, in none, and as a part of another.
      state["tied" + name.substr(1)] = tensor;
      state["tied" + name.substr(1)].parameter = "tied";
      state["loose" + name.substr(1)] = tensor;
      state["loose" + name.substr(1)].role = Role::kNone;
      HeldTensor& other = state["b" + name.substr(1)];
      const auto half = static_cast<int64_t>(other.bytes.size() / 2);
      std::copy_n(tensor.bytes.begin(), half, other.bytes.begin() + half);
    }
    const auto saved = save_state(next_tag(), state, trainer.facts());
    EXPECT_LT(saved.facts.new_chunks, saved.facts.chunks / 2);
  }
  expect_sound();
}

TEST_F(Series, AnotherShapeOrDtypeBeginsAnew) {
  Trainer trainer(12), other(13);
  trainer.add("p", {64, 64});
  other.add("p", {32, 128}, Dtype::kF16);
  save_steps(trainer, 2);
  save_steps(other, 2);
  save_steps(trainer, 2);
  expect_sound();
}

/// However long a chain is, few of its chunks are decoded at once.
TEST_F(Series, LongChainsTakeLittleMemory) {
  Trainer trainer(14);
  trainer.add("p", {64, 40});
  save_steps(trainer, 40, with_budget(1000));
  auto checkpoint = *open_tag(*store_, newest());
  std::vector<CopyRef> refs;
  const auto page = *checkpoint->page(0);
  for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) refs.push_back({0, slot});
  const auto groups = *group_chains(*checkpoint, refs);
  ASSERT_FALSE(groups.empty());
  for (const auto& group : groups) {
    std::vector<CopyRef> wanted;
    for (const uint32_t number : group) wanted.push_back(refs[number]);
    size_t parts = 0;
    const auto visit = [&](size_t, const DecodePlan& plan) -> Status {
      EXPECT_GT(plan.copies.size(), 100u);
      uint64_t largest = 0;
      for (const PlannedCopy& planned : plan.copies) {
        largest = std::max<uint64_t>(largest, planned.copy.decoded_bytes);
      }
      EXPECT_LE(live_bytes_max(plan), 10 * largest);
      ++parts;
      return {};
    };
    ASSERT_TRUE(succeeds(plan_in_parts(*checkpoint, wanted, visit)));
    EXPECT_EQ(parts, 1u);
  }
}

}  // namespace
}  // namespace cairn
