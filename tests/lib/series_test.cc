// A training run saved step by step, its copies made from each other, loads as it was: every tag,
// whole and by boxes, in any order, whatever the store was told of it.
#include <fmt/format.h>

#include "store/bases.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class Series : public SeriesFixture {
 protected:
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

  /// Boxes at random, each loaded by itself or several at once.
  void expect_boxes(const std::string& tag, unsigned seed) const {
    std::mt19937 random(seed);
    auto checkpoint = *open_tag(*store_, tag);
    LoadRequest request;
    std::vector<Bytes> room, expected;
    for (int round = 0; round < 3; ++round) {
      for (const auto& [name, tensor] : states_.at(tag)) {
        const uint64_t item = bits_per_element(tensor.dtype) / 8;
        Box box = whole_box(tensor.shape);
        if (box.is_empty()) continue;
        for (size_t axis = 0; axis < box.rank(); ++axis) {
          box.offsets[axis] = random() % tensor.shape[axis];
          box.lengths[axis] = 1 + random() % (tensor.shape[axis] - box.offsets[axis]);
        }
        room.emplace_back(box.elements() * item, uint8_t{0xee});
        expected.push_back(part_of(tensor, box));
        request.targets.push_back({name, tensor.dtype, tensor.shape, box, room.back().data(), {}});
      }
    }
    std::vector<size_t> order(request.targets.size());
    for (size_t i = 0; i < order.size(); ++i) std::swap(order[i] = i, order[random() % (i + 1)]);
    LoadRequest shuffled;
    for (const size_t i : order) shuffled.targets.push_back(request.targets[i]);
    ASSERT_TRUE(succeeds(load(*checkpoint, shuffled)));
    for (size_t i = 0; i < room.size(); ++i) {
      EXPECT_TRUE(room[i] == expected[i])
          << tag << " " << request.targets[i].name << " " << request.targets[i].box.text();
    }
  }
  /// Of a tensor of one or two axes.
  static Bytes part_of(const HeldTensor& tensor, const Box& box) {
    const uint64_t item = bits_per_element(tensor.dtype) / 8;
    const bool is_flat = box.rank() == 1;
    const uint64_t row = item * (is_flat ? tensor.shape[0] : tensor.shape[1]);
    Bytes part;
    for (uint64_t i = 0; i < (is_flat ? 1 : box.lengths[0]); ++i) {
      const uint64_t first = (is_flat ? 0 : box.offsets[0] + i) * row + box.offsets.back() * item;
      const auto begin = tensor.bytes.begin() + static_cast<int64_t>(first);
      part.insert(part.end(), begin, begin + static_cast<int64_t>(box.lengths.back() * item));
    }
    return part;
  }

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
  EXPECT_GT(encodings(newest())["delta"], 0u);
  EXPECT_GT(encodings(newest())["derived"], 0u) << "a rounding is no prediction";
  expect_sound();
}

/// The copies of weights, and all that they are made from.
TEST_F(Series, WeightsDirectNeedNoMasters) {
  Trainer trainer(10);
  trainer.add("p", {70, 61});
  trainer.add("q", {2000});
  save_steps(trainer, 6, [](SaveRequest& request) { request.weights_direct = true; });
  EXPECT_GT(
      encodings(newest(), Role::kMaster)["derived"] + encodings(newest(), Role::kMaster)["replay"],
      0u);
  auto checkpoint = *open_tag(*store_, newest());
  std::vector<CopyRef> weights;
  std::set<Digest> of_weights;
  for (const auto& [tag, state] : states_) {
    auto each = *open_tag(*store_, tag);
    for (const char* name : {"p.weight", "q.weight"}) {
      const size_t item = *each->find_tensor(name);
      for (uint64_t chunk = 0; chunk < each->chunk_count(item); ++chunk) {
        const PagePlan::Place place = each->plan().place(item, chunk);
        const auto page = *each->page(place.page);
        const uint32_t slot = page->first_slots[place.entry];
        of_weights.insert(page->digest_of(slot));
        if (tag == newest()) weights.push_back({static_cast<uint32_t>(place.page), slot});
      }
    }
  }
  const auto read = [&](size_t number) -> Result<Locator> {
    return (*checkpoint->page(number))->locator;
  };
  size_t met = 0;
  ASSERT_TRUE(follow_bases(weights, checkpoint->page_numbers(), read,
                           [&](const CopyRef& ref, const Copy&) -> Status {
                             ++met;
                             const auto page = *checkpoint->page(ref.page);
                             EXPECT_TRUE(of_weights.contains(page->digest_of(ref.slot)));
                             return {};
                           }));
  EXPECT_GT(met, weights.size()) << "they have chains of their own";
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

}  // namespace
}  // namespace cairn
