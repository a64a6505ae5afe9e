// Stores that live at random: saves of all kinds, reverts, forks, replacements, thinning, pins,
// forgetting and collections, in any order, with readers that opened a tag before. Whatever was
// saved last under a name is what loads. CAIRN_LIVES=N: so many lives.
#include <fmt/format.h>

#include <cstdlib>

#include "store/commit.h"
#include "store/thin.h"
#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

using namespace std::chrono_literals;

/// By name.
using Attachments = std::map<std::string, Bytes>;

class AnyLife : public PartsFixture, public testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    Config config;
    config.chunk_elements = 1024;
    config.opaque_chunk_bytes = 4096;
    if (GetParam() % 4 == 0) config.features = {};  // attachments in runs, as stores once were
    ASSERT_TRUE(Store::init(posix_fs(), path(), config));
    store_ = *Store::open(posix_fs(), path());
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
    const Attachments attachments = any_attachments();
    const auto change = [&](SaveRequest& request) {
      vary(request);
      for (const auto& [name, bytes] : attachments) request.attachments.push_back({name, bytes});
      log_ += fmt::format(" save {} budget {} direct {} base {}", tag, request.restore_budget,
                          request.weights_every, request.base.value_or("-"));
    };
    const Cut cut{below(3) == 0 ? 3u : 1u, below(3) == 0 ? 1u : 0u};
    if (below(3) == 0) {
      save_by_ranks(tag, state, facts, change, cut);
    } else {
      save_state(tag, state, facts, change, cut);
    }
    attachments_[tag] = attachments;
    remember_copies(tag);
  }

  /// Boxes are on ranks at random, some on several. Copies that do not fit each other are stored
  /// once more, without a base.
  void save_by_ranks(const std::string& tag, const State& state, const StepFacts& facts,
                     const Change& change, const Cut& cut) {
    SaveRequest whole = request_of(tag, state, cut);
    whole.optimizer.common = facts;
    change(whole);
    log_ += " by ranks";
    RankRequests ranks(1 + below(4), whole);
    for (SaveRequest& rank : ranks) rank.tensors.clear();
    std::map<std::string, unsigned> holders;  // bits of ranks; 0: every box is on another
    for (const TensorSource& source : whole.tensors) {
      const auto count = static_cast<uint32_t>(ranks.size());
      const auto [of_tensor, fresh] = holders.try_emplace(source.name, 0);
      if (fresh && coin()) of_tensor->second = 1 + below((1u << count) - 1);
      const unsigned bits = of_tensor->second != 0 ? of_tensor->second : 1u << below(count);
      for (uint32_t rank = 0; rank < count; ++rank) {
        if ((bits >> rank & 1) == 0) continue;
        ranks[rank].tensors.push_back(source);
        ranks[rank].tensors.back().writer = rank;
      }
    }
    auto saved = save_together(ranks);
    if (!saved && saved.error().code == Code::kBusy) {
      log_ += " again";
      for (SaveRequest& rank : ranks) {
        rank.base = "none";
        rank.look_up = nullptr;
      }
      saved = save_together(ranks);
    }
    ASSERT_TRUE(succeeds(saved)) << tag;
    EXPECT_TRUE(saved->warnings.empty());
    states_[tag] = state;
  }

  /// How a save may be asked for.
  void vary(SaveRequest& request) {
    request.if_exists = IfExists::kReplace;
    const double budgets[] = {1, 1.5, 2, 4, 1000};
    request.restore_budget = budgets[below(5)];
    request.weights_every = static_cast<uint32_t>(below(4));
    request.optimizer.predict = below(5) != 0;
    request.effort = below(4) == 0 ? Effort::kSmall : Effort::kBalanced;
    if (below(10) == 0) request.zstd_level = 1;
    if (below(5) == 0) request.base = "none";
    if (!states_.empty() && below(4) == 0) request.base = any_tag();
    if (below(5) == 0) {
      request.optimizer = {};
      for (TensorSource& source : request.tensors) {
        source.role = Role::kNone;
        source.parameter.clear();
      }
      log_ += " without roles";
    }
    if (coin()) {
      request.look_up = [this](const std::vector<Digest>& wanted,
                               std::vector<std::optional<Copy>>& found) -> Status {
        for (size_t i = 0; i < wanted.size(); ++i) {
          const auto known = remembered_.find(wanted[i]);
          if (known != remembered_.end()) found[i] = known->second;
        }
        return {};
      };
      log_ += " looks up";
    }
  }

  Attachments any_attachments() {
    if (!attachments_.empty() && coin()) return attachments_.begin()->second;
    Attachments attachments;
    const uint64_t sizes[] = {0, 200, 4096, 4097, 15000, 40000};
    for (unsigned i = below(4); i > 0; --i) {
      Bytes& bytes = attachments[fmt::format("file{}", i)] = noise(sizes[below(6)], below(3));
      if (coin()) bytes.insert(bytes.begin(), 4 * below(9), 0);  // all behind it moves
    }
    return attachments;
  }

  /// As the index does, which learns late of what gc has deleted.
  void remember_copies(const std::string& tag) {
    auto checkpoint = *open_tag(*store_, tag);
    for (uint32_t number = 0; number < checkpoint->table().pages.size(); ++number) {
      const auto page = *checkpoint->page(number);
      for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
        const Copy& copy = page->locator.copies[slot];
        if (copy.bases.empty()) remembered_[page->digest_of(slot)] = copy;
      }
    }
  }

  void forget_any() {
    std::vector<std::string> names;
    std::vector<TagEntry> tags;
    const unsigned most = 1 + below(4);
    for (const auto& [name, state] : states_) {
      if (names.size() + 1 < states_.size() && below(4) < most) names.push_back(name);
    }
    std::shuffle(names.begin(), names.end(), random_);
    bool any_pinned = false;
    for (const std::string& name : names) {
      log_ += " forget " + name;
      tags.push_back(*store_->find_tag(name));
      any_pinned |= tags.back().pinned;
    }
    if (any_pinned) {
      EXPECT_TRUE(fails_with(Code::kProtected, forget_tags(*store_, tags, false, 0ms)));
      if (coin()) return;
    }
    forget(names);
    for (const std::string& name : names) attachments_.erase(name);
  }

  void pin_any() {
    const std::string tag = any_tag();
    const bool pinned = coin();
    log_ += fmt::format(" {} {}", pinned ? "pin" : "unpin", tag);
    ASSERT_TRUE(succeeds(pin_tag(*store_, tag, pinned, 0ms)));
  }

  void thin_any() {
    const std::string tag = any_tag();
    State& state = states_[tag];
    const std::string glob = coin() ? "*.second" : "*.master";
    log_ += " thin " + tag + " " + glob;
    const auto bytes = [&](const TensorInfo& tensor) -> Result<uint64_t> {
      return state.at(tensor.name).bytes.size();
    };
    const TagEntry entry = *store_->find_tag(tag);
    const auto thinned = thin_tags(*store_, {entry}, {glob}, bytes, false, 0ms);
    if (entry.pinned) {
      EXPECT_TRUE(fails_with(Code::kProtected, thinned));
      return;
    }
    ASSERT_TRUE(succeeds(thinned));
    std::erase_if(state, [&](const auto& each) { return each.first.ends_with(glob.substr(1)); });
  }

  void fork_any() {
    const std::string tag = any_tag(), name = fmt::format("t/{}", number_++);
    log_ += " fork " + tag + " " + name;
    ASSERT_TRUE(succeeds(fork_tag(*store_, name, tag, 0ms)));
    states_[name] = states_[tag];
    attachments_[name] = attachments_[tag];
  }

  void collect_any() {
    GcRequest request;
    request.rebase = coin();
    const double dead[] = {10, 30, 60};
    request.move.min_dead_percent = dead[below(3)];
    request.move.merges = coin();
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

  void open_any() {
    const std::string tag = any_tag();
    log_ += " open " + tag;
    reader_.reset();
    reader_store_ = *Store::open(posix_fs(), path());
    reader_ = *open_tag(*reader_store_, tag);
    opened_ = states_[tag];
    opened_attachments_ = attachments_[tag];
  }

  /// A reader goes on wherever its tag moves; it may lose it, and then says so.
  void expect_reader() {
    if (reader_ == nullptr) return;
    const auto standing = store_->find_tag(reader_->tag().name);
    const bool stands = standing && standing->manifest.digest == reader_->tag().manifest.digest;
    for (const Status& read :
         {load_boxes(*reader_, opened_, random_()), compare(*reader_, opened_attachments_)}) {
      EXPECT_TRUE(read || !stands) << read.error().message;
      if (!read) {
        EXPECT_TRUE(read.error().code == Code::kNotFound || read.error().code == Code::kBusy)
            << read.error().message;
      }
    }
    if (!stands) reader_.reset();
  }

  static Status compare(Checkpoint& checkpoint, const Attachments& attachments) {
    EXPECT_EQ(checkpoint.item_count() - checkpoint.schema().tensors.size(), attachments.size());
    for (const auto& [name, bytes] : attachments) {
      Bytes read;
      CAIRN_CHECK(read_attachment(checkpoint, name, [&](ByteSpan part) -> Status {
        read.insert(read.end(), part.begin(), part.end());
        return {};
      }));
      EXPECT_TRUE(read == bytes) << checkpoint.tag().name << " " << name;
    }
    return {};
  }

  void expect_all() {
    expect_reader();
    expect_sound();
    for (const auto& [tag, attachments] : attachments_) {
      auto checkpoint = *open_tag(*store_, tag);
      EXPECT_TRUE(succeeds(compare(*checkpoint, attachments)));
    }
    expect_boxes(any_tag(), random_());
  }

  std::mt19937 random_;
  std::unique_ptr<Trainer> trainer_;
  std::map<std::string, Attachments> attachments_;  // by tag
  std::map<Digest, Copy> remembered_;
  std::unique_ptr<Store> reader_store_;
  std::unique_ptr<Checkpoint> reader_;
  State opened_;
  Attachments opened_attachments_;
  int number_ = 0;
  std::string log_;
  const std::string paged_ = paged_parameter("p"), twin_ = paged_parameter("q");
};

TEST_P(AnyLife, WhatWasSavedLoads) {
  for (int turn = 0; turn < 20 && !HasFailure(); ++turn) {
    const unsigned what = states_.size() < 2 ? 0 : below(23);
    if (what < 11) save_any();
    if (what >= 11 && what < 14) forget_any();
    if (what == 14) thin_any();
    if (what == 15) fork_any();
    if (what == 16) pin_any();
    if (what == 17 || what == 18) open_any();
    if (what > 18) collect_any();
    expect_all();
  }
  if (HasFailure()) ADD_FAILURE() << log_;
}

unsigned lives() {
  const char* said = std::getenv("CAIRN_LIVES");
  return said == nullptr ? 6 : static_cast<unsigned>(std::atoi(said));
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyLife, testing::Range(0u, lives()));

}  // namespace
}  // namespace cairn
