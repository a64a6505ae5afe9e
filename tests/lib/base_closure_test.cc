// What a tag takes along from its base, and what it makes of pages that are equal: to each other,
// to those of its base, to those that its base is made from.
#include "lib/base_closure.h"

#include <fmt/format.h>

#include "store/thin.h"
#include "tests/lib/series_fixture.h"

namespace cairn {
namespace {

class BasePages : public SeriesFixture {
 protected:
  /// A tensor's name that closes its page.
  static std::string closing(const std::string& prefix) {
    for (int number = 0;; ++number) {
      const std::string name = prefix + std::to_string(number);
      if (blake3(as_bytes(name)).bytes[0] % 32 == 0) return name;
    }
  }
  static Change with(double budget) {
    return [=](SaveRequest& request) {
      request.restore_budget = budget;
      request.if_exists = IfExists::kReplace;
    };
  }
  std::vector<Digest> pages(const std::string& tag) {
    const LocatorTable table = (*open_tag(*store_, tag))->table();
    std::vector<Digest> digests;
    for (size_t page = 0; page < table.page_count(); ++page) {
      digests.push_back(table.place(page).page.digest);
    }
    return digests;
  }
};

TEST_F(BasePages, AreThoseThatCopiesAreMadeFrom) {
  Trainer trainer(1);
  trainer.add(paged_parameter("p"), {64, 32});
  trainer.add(paged_parameter("q"), {64, 32});
  save_trainer("1", trainer);
  for (const char* tag : {"2", "3"}) {
    trainer.step();
    save_trainer(tag, trainer, with(1000));
  }
  auto checkpoint = *open_tag(*store_, "3");
  std::set<Digest> needed, listed;
  const auto read = [&](size_t number) -> Result<Locator> {
    return (*checkpoint->page(number))->locator;
  };
  ASSERT_TRUE(for_each_needed(checkpoint->table(), read, [&](const CopyRef& ref, const Copy&) {
    if (ref.page >= checkpoint->table().pages.size()) {
      needed.insert(checkpoint->table().place(ref.page).page.digest);
    }
    return Status();
  }));
  for (const PagePlace& place : checkpoint->table().closure) listed.insert(place.page.digest);
  EXPECT_EQ(listed, needed);
  EXPECT_FALSE(listed.empty());
  expect_sound();
}

TEST_F(BasePages, EqualPagesOfOneTagCountEach) {
  Trainer trainer(1);
  const std::string one = paged_parameter("p"), two = paged_parameter("q");
  trainer.add(one, {32, 32});
  const auto twin = [&] {
    for (const char* suffix : {".first", ".second", ".weight", ".master"}) {
      trainer.state()[two + suffix] = trainer.state()[one + suffix];
      trainer.state()[two + suffix].parameter = two;
    }
  };
  for (const char* tag : {"1", "2", "3", "4"}) {
    trainer.step();
    twin();
    save_trainer(tag, trainer, with(1.3));
    const auto all = pages(tag);
    ASSERT_LT(std::set<Digest>(all.begin(), all.end()).size(), all.size()) << "some are equal";
    expect_sound();
  }
}

/// Two parameters of the same bytes; of one the weight's page comes first, of the other the
/// master's. Where one begins anew and the other does not, one weight is made from its master, and
/// the other master from its weight.
TEST_F(BasePages, EqualPagesAreNotMadeFromEachOther) {
  Trainer trainer(1);
  trainer.add("1", {32, 32});
  const std::string names[] = {closing("a"), closing("b"), closing("c"), closing("d")};
  const auto state = [&] {
    State twins;
    for (const char* suffix : {".first", ".second"}) {
      twins["1" + std::string(suffix)] = trainer.state()["1" + std::string(suffix)];
      twins["2" + std::string(suffix)] = twins["1" + std::string(suffix)];
      twins["2" + std::string(suffix)].parameter = "2";
    }
    twins[closing("Z")] = {Dtype::kU8, {300}, Role::kNone, "", noise(300, 1)};  // ends a page
    twins[names[0]] = twins[names[3]] = trainer.state()["1.weight"];
    twins[names[1]] = twins[names[2]] = trainer.state()["1.master"];
    twins[names[0]].parameter = twins[names[2]].parameter = "2";
    return twins;
  };
  for (int step = 0; step < 12; ++step) {
    save_state(fmt::format("base/{:02}", step), state(), trainer.facts(), with(1000));
    trainer.step();
  }
  for (double budget = 1; budget < 4; budget += 0.1) {
    save_state("tag", state(), trainer.facts(), [&](SaveRequest& request) {
      with(budget)(request);
      request.base = "base/11";
    });
    const auto all = pages("tag");
    ASSERT_EQ(std::count(all.begin(), all.end(), all.at(1)), 2);
    ASSERT_EQ(std::count(all.begin(), all.end(), all.at(2)), 2);
    ASSERT_TRUE(succeeds(load_state("tag"))) << budget;
  }
  expect_sound();
}

/// The master's bytes are those of the buffer that it follows from, and its page comes first.
TEST_F(BasePages, EqualPagesOfOneParameterAreNotMadeFromThemselves) {
  const std::string master = closing("a"), buffer = closing("b");
  std::vector<float> items(1024, 1);
  for (size_t i = 0; i < items.size(); ++i) items[i] += static_cast<float>(i) / 7;
  StepFacts facts;
  facts.optimizer = OptimizerKind::kSgd;
  facts.lr = 0.125;
  for (int step = 0; step < 4; ++step) {
    for (float& item : items) item /= 1.125f;
    State state;
    state[buffer] = {Dtype::kF32, {1024}, Role::kExpAvg, "p", {}};
    for (const float item : items) append_le(state[buffer].bytes, item);
    state[master] = state[buffer];
    state[master].role = Role::kMaster;
    const std::string tag = std::to_string(step);
    save_state(tag, state, facts, with(1000));
    ASSERT_EQ(pages(tag).at(0), pages(tag).at(1));
    ASSERT_TRUE(succeeds(load_state(tag))) << step;
  }
  expect_sound();
}

/// A -> B -> A: the third tag's pages are those that the second's are made from.
TEST_F(BasePages, AReturnToAnEarlierStateHasNoCircle) {
  for (const double budget : {1.0, 1.5, 1000.0}) {
    Trainer trainer(static_cast<unsigned>(budget));
    trainer.add("p", {64, 32});
    trainer.add(paged_parameter("q"), {64, 32});
    std::vector<State> states;
    for (int i = 0; i < 3; ++i) {
      states.push_back(trainer.state());
      trainer.step();
    }
    int number = 0;
    for (const int which : {0, 1, 0, 2, 1, 0, 0, 2}) {
      const std::string tag = fmt::format("{}/{}", budget, number++);
      save_state(tag, states[size_t(which)], trainer.facts(), with(budget));
    }
    expect_sound();
  }
}

/// The same where the copies of the third are stored by themselves again.
TEST_F(BasePages, AReturnThatTakesNothingFromTheBase) {
  Trainer trainer(5);
  trainer.add("p", {64, 32});
  trainer.add(paged_parameter("q"), {64, 32});
  const State before = trainer.state();
  save_trainer("1", trainer, with(1000));
  trainer.step();
  const State after = trainer.state();
  save_trainer("2", trainer, with(1000));
  for (const int level : {1, 0, 1}) {
    const std::string tag = fmt::format("back/{}", states_.size());
    save_state(tag, level == 1 ? before : after, trainer.facts(), [&](SaveRequest& request) {
      request.zstd_level = level;
      request.base = "2";
    });
    expect_sound();
  }
}

/// Tensors x and y of the page that the third tag's x is made from, and not its y: what y was made
/// from there the third tag does not know. The fourth has that page again.
class HalfKnownPage : public BasePages {
 protected:
  void SetUp() override {
    BasePages::SetUp();
    save_xy("0", noise(4096, 1), changed(noise(4096, 2), 1));
    save_xy("1", x_, y_);
    save_xy("2", changed(x_, 5), noise(4096, 9));
    EXPECT_EQ(encodings("1", Role::kMaster)["sparse"], 1u);
    EXPECT_EQ(encodings("2", Role::kMaster)["sparse"], 1u);
    EXPECT_EQ(pages("2").size(), 2u);
  }
  static Bytes changed(Bytes bytes, size_t first) {
    for (size_t at = first; at < bytes.size(); at += 400) bytes[at] ^= 1;
    return bytes;
  }
  static State xy(const Bytes& x, const Bytes& y) {
    return {{"x", {Dtype::kF32, {1024}, Role::kMaster, "x", x}},
            {"y", {Dtype::kF32, {1024}, Role::kMaster, "y", y}}};
  }
  void save_xy(const std::string& tag, const Bytes& x, const Bytes& y) {
    save_state(tag, xy(x, y), {}, with(1000));
  }

  const Bytes x_ = noise(4096, 7), y_ = noise(4096, 2);
};

TEST_F(HalfKnownPage, IsSavedAgain) {
  save_xy("3", x_, y_);
  EXPECT_EQ(pages("3").at(0), pages("1").at(0));
  expect_sound();
}

TEST_F(HalfKnownPage, IsMadeByThinning) {
  State state = xy(x_, y_);
  state["a"] = {Dtype::kF32, {1024}, Role::kOther, "", noise(4096, 20)};
  save_state("3", state, {}, with(1000));
  const auto bytes = [](const TensorInfo&) -> Result<uint64_t> { return 4096; };
  ASSERT_TRUE(succeeds(
      thin_tags(*store_, {*store_->find_tag("3")}, {"a"}, bytes, false, std::chrono::seconds(0))));
  states_["3"].erase("a");
  EXPECT_EQ(pages("3").at(0), pages("1").at(0));
  expect_sound();
}

class ThinnedBase : public BasePages {
 protected:
  void thin(const std::string& tag) {
    const auto done = thin_tags(
        *store_, {*store_->find_tag(tag)}, {"*.first", "*.second"},
        [&](const TensorInfo& tensor) -> Result<uint64_t> {
          return states_[tag].at(tensor.name).bytes.size();
        },
        false, std::chrono::seconds(0));
    ASSERT_TRUE(succeeds(done));
    std::erase_if(states_[tag], [](const auto& each) {
      return each.first.ends_with(".first") || each.first.ends_with(".second");
    });
  }
};

TEST_F(ThinnedBase, CountsEachCopyOnce) {
  Trainer trainer(1);
  trainer.add(paged_parameter("p"), {64, 32});
  for (const char* tag : {"1", "2", "3"}) {
    trainer.step();
    save_trainer(tag, trainer, with(1000));
  }
  for (const char* tag : {"2", "3", "1"}) {
    thin(tag);
    expect_sound();
  }
}

/// Thinned, a tag may get a page that one of its bases has: what it is made from stays that.
TEST_F(ThinnedBase, IsNotMadeFromItself) {
  Trainer trainer(1);
  trainer.add("p", {64, 32});
  const State before = trainer.state();
  save_trainer("1", trainer);
  thin("1");
  trainer.step();
  save_trainer("2", trainer, with(1000));
  State back = trainer.state();
  for (const char* name : {"p.master", "p.weight"}) back[name] = before.at(name);
  save_state("3", back, trainer.facts(), with(1000));
  thin("3");
  EXPECT_EQ(pages("3").at(0), pages("1").at(0));
  expect_sound();
  forget({"1", "2"});
  ASSERT_TRUE(succeeds(collect(*store_, {})));
  expect_sound();
}

/// A page of a forgotten tag stands for what is made from some of its copies; of the others only gc
/// knows. Who saves such a page again must not count on these.
TEST_F(BasePages, OfForgottenTagsOnlyWhatTheBaseNeedsIsTakenOver) {
  const auto floats = [](uint32_t seed, uint32_t moved) {
    Bytes bytes;
    const Bytes words = noise(4 * 4096, seed), moves = noise(4 * 4096, 100 + moved);
    for (size_t i = 0; i < words.size(); i += 4) {
      const uint32_t move = moved == 0 ? 0 : load_le<uint32_t>(moves, i) & 0x1f;
      append_le(bytes, 0x3c000000 | (load_le<uint32_t>(words, i) & 0x81ffffe0) | move);
    }
    return bytes;
  };
  const auto state = [&](Bytes a, Bytes b) {
    return State{{"a", {Dtype::kF32, {4096}, Role::kNone, "", std::move(a)}},
                 {"b", {Dtype::kF32, {4096}, Role::kNone, "", std::move(b)}}};
  };
  Bytes b = noise(4 * 4096, 1);
  save_state("0", state(floats(2, 0), b));
  for (size_t i = 0; i < b.size(); i += 2000) b[i] ^= 1;
  const State second = state(floats(2, 1), b);
  save_state("1", second);
  save_state("2", state(floats(2, 2), noise(4 * 4096, 3)));
  ASSERT_EQ(pages("2").size(), 3u) << "made from pages of both";
  forget({"0", "1"});
  // The pack of the first goes, with what b of the second was made from; that of the second stays.
  GcRequest request;
  request.move.min_dead_percent = 30;
  request.move.merges = false;
  const auto collected = collect(*store_, request);
  ASSERT_TRUE(succeeds(collected));
  ASSERT_EQ(collected->packs_rewritten, 1u);
  expect_sound();
  save_state("3", second);
  expect_sound();
  // Packs that no standing tag needed may go while a save runs.
  auto checkpoint = *open_tag(*store_, "3");
  const auto page = *checkpoint->page(0);
  const uint32_t first_of_b = static_cast<uint32_t>(page->locator.copies.size()) / 2;
  for (uint32_t slot = first_of_b; slot < page->locator.copies.size(); ++slot) {
    EXPECT_EQ(page->locator.copies[slot].pack.session, checkpoint->tag().session) << slot;
  }
}

}  // namespace
}  // namespace cairn
