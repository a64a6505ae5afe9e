// A tag that several ranks save: each stores its boxes as a part, one unites the parts.
#include "lib/save_part.h"

#include <fmt/format.h>

#include "tests/lib/parts_fixture.h"
#include "tests/support/fault_fs.h"

namespace cairn {
namespace {

/// Cuts all tensors of two axes into rows x columns, those of one axis into as many runs.
struct Mesh {
  uint64_t rows = 1, columns = 1;
  uint32_t ranks() const { return static_cast<uint32_t>(rows * columns); }
};

class SaveParts : public PartsFixture {
 protected:
  void SetUp() override {
    PartsFixture::SetUp();
    state_ = state(1);
  }

  /// Tensors of every kind of cut: on chunk edges, beside them, within chunks that lie in their
  /// page, with ranks that have nothing.
  static State state(uint32_t seed) {
    State state;
    const auto add = [&](const std::string& name, Dtype dtype, const Shape& shape) {
      const uint64_t bytes = *checked_bytes(dtype, shape);
      state[name] = {dtype, shape, Role::kNone, "", noise(bytes, seed++)};
    };
    add("even", Dtype::kBF16, {64, 64});
    add("odd", Dtype::kF32, {70, 33});
    add("flat", Dtype::kI64, {3001});
    add("nibbles", Dtype::kF4, {40, 64});
    add("whole.nibbles", Dtype::kF4, {9, 10});
    add("in.page", Dtype::kF32, {8, 8});
    add("few", Dtype::kI32, {3});
    add("one", Dtype::kF32, {});
    add("none", Dtype::kBF16, {0, 4});
    return state;
  }

  static bool can_be_cut(const HeldTensor& tensor) {
    return !tensor.shape.empty() && !storage_form(tensor.dtype, tensor.shape)->flat;
  }

  static Box box_in(const HeldTensor& tensor, const Mesh& mesh, uint64_t row, uint64_t column) {
    Box box = whole_box(tensor.shape);
    const uint64_t unit = storage_form(tensor.dtype, tensor.shape)->unit_elements;
    const auto cut = [&](size_t axis, uint64_t part, uint64_t parts) {
      const uint64_t step = axis + 1 == tensor.shape.size() ? unit : 1;
      const uint64_t length = tensor.shape[axis] / step;
      box.offsets[axis] = length * part / parts * step;
      box.lengths[axis] = length * (part + 1) / parts * step - box.offsets[axis];
    };
    if (tensor.shape.size() == 1) {
      cut(0, row * mesh.columns + column, mesh.rows * mesh.columns);
    } else {
      cut(0, row, mesh.rows);
      cut(1, column, mesh.columns);
    }
    return box;
  }

  /// What each rank of the mesh has; what cannot be cut is the last rank's.
  static RankRequests cut_state(const std::string& tag, const State& state, const Mesh& mesh) {
    RankRequests requests(mesh.ranks());
    for (uint32_t rank = 0; rank < mesh.ranks(); ++rank) {
      requests[rank].tag = tag;
      requests[rank].base = "none";
      for (const auto& [name, tensor] : state) {
        const bool is_cut = can_be_cut(tensor);
        if (!is_cut && rank + 1 != mesh.ranks()) continue;
        const Box box = is_cut
                            ? box_in(tensor, mesh, rank / mesh.columns, rank % mesh.columns)
                            : whole_box(tensor.shape);
        requests[rank].tensors.push_back(box_of(name, tensor, box, rank));
      }
    }
    return requests;
  }

  /// The same boxes in one request.
  static SaveRequest joined(const RankRequests& requests, const std::string& tag) {
    SaveRequest whole = requests.front();
    whole.tag = tag;
    for (size_t rank = 1; rank < requests.size(); ++rank) {
      const auto& more = requests[rank].tensors;
      whole.tensors.insert(whole.tensors.end(), more.begin(), more.end());
    }
    return whole;
  }

  void refuses(Code code, std::string_view words, const SaveRequest& request) const {
    const auto saved = save(*store_, request);
    ASSERT_TRUE(fails_with(code, saved)) << words;
    EXPECT_NE(saved.error().message.find(words), std::string::npos) << saved.error().message;
    EXPECT_FALSE(store_->find_tag(request.tag)) << "nothing is visible";
  }

  State state_;
};

TEST_F(SaveParts, AreTheTagThatOneProcessWouldSave) {
  for (const Mesh& mesh : {Mesh{1, 1}, Mesh{2, 1}, Mesh{1, 2}, Mesh{2, 2}, Mesh{5, 1}, Mesh{1, 3},
                           Mesh{3, 2}, Mesh{90, 1}}) {
    SCOPED_TRACE(fmt::format("{} x {}", mesh.rows, mesh.columns));
    const std::string tag = fmt::format("parts-{}-{}", mesh.rows, mesh.columns);
    const RankRequests requests = cut_state(tag, state_, mesh);
    const auto together = save_together(requests);
    ASSERT_TRUE(succeeds(together));
    states_[tag] = state_;
    EXPECT_TRUE(together->warnings.empty());
    const std::string whole_tag = "whole" + tag.substr(5);
    const auto alone = save(*store_, joined(requests, whole_tag));
    ASSERT_TRUE(succeeds(alone));
    states_[whole_tag] = state_;
    EXPECT_EQ(together->manifest, alone->manifest);
    EXPECT_EQ(together->facts.logical_bytes, alone->facts.logical_bytes);
    EXPECT_EQ(together->facts.new_bytes, alone->facts.new_bytes);
    EXPECT_EQ(together->facts.new_chunks, alone->facts.new_chunks);
    EXPECT_EQ(together->facts.chunks, alone->facts.chunks);
    const auto a = *open_tag(*store_, tag), b = *open_tag(*store_, whole_tag);
    ASSERT_EQ(a->tag().layout.has_value(), b->tag().layout.has_value());
    if (a->tag().layout) {
      EXPECT_EQ(a->tag().layout->digest, b->tag().layout->digest);
    }
  }
  expect_sound();
  collect_all();
  expect_sound();
}

TEST_F(SaveParts, InAnyOrder) {
  const RankRequests requests = cut_state("t", state_, {2, 2});
  SavedParts parts = store_parts(requests);
  SaveRequest request = uniting(requests[0], parts);
  const auto first = save(*store_, request);
  ASSERT_TRUE(succeeds(first));
  request.tag = "t";
  request.if_exists = IfExists::kSame;
  std::reverse(request.parts.begin(), request.parts.end());
  const auto again = save(*store_, request);
  ASSERT_TRUE(succeeds(again));
  EXPECT_TRUE(again->already_there);
  EXPECT_EQ(again->manifest, first->manifest);
  keep_all(parts);
  states_["t"] = state_;
  collect_all();
  expect_sound();
}

TEST_F(SaveParts, ReplicasAreStoredOnceInTheTag) {
  RankRequests requests(3);
  for (uint32_t rank = 0; rank < 3; ++rank) {
    requests[rank].tag = "t";
    requests[rank].base = "none";
    for (const auto& [name, tensor] : state_) {
      requests[rank].tensors.push_back(box_of(name, tensor, whole_box(tensor.shape), rank));
    }
    requests[rank].attachments = {{"note", as_bytes("the same")}};
  }
  const auto together = save_together(requests);
  ASSERT_TRUE(succeeds(together));
  EXPECT_TRUE(together->warnings.empty());
  states_["t"] = state_;
  SaveRequest whole = requests[0];
  whole.tag = "whole";
  const auto alone = save(*store_, whole);
  ASSERT_TRUE(succeeds(alone));
  states_["whole"] = state_;
  EXPECT_EQ(together->manifest, alone->manifest);
  EXPECT_EQ(together->facts.new_bytes, alone->facts.new_bytes);
  EXPECT_EQ(together->facts.new_chunks, alone->facts.new_chunks);
  EXPECT_GT(together->facts.stored_bytes, 2 * alone->facts.stored_bytes) << "as the disk sees it";
  expect_sound();
}

/// Experts are on one rank or two, and a chunk has several.
TEST_F(SaveParts, RanksThatShareSomeBoxes) {
  state_ = {{"experts", {Dtype::kBF16, {8, 256}, Role::kNone, "", noise(4096, 3)}},
            {"small", {Dtype::kBF16, {8, 16}, Role::kNone, "", noise(256, 4)}}};
  const std::vector<std::vector<uint64_t>> held = {{1, 2}, {0, 1, 2, 3}, {3, 4, 5}, {5, 6, 7}};
  RankRequests requests(held.size());
  for (uint32_t rank = 0; rank < held.size(); ++rank) {
    requests[rank].tag = "t";
    for (const uint64_t expert : held[rank]) {
      for (const auto& [name, tensor] : state_) {
        const Box box{{expert, 0}, {1, tensor.shape[1]}};
        requests[rank].tensors.push_back(box_of(name, tensor, box, rank));
      }
    }
  }
  const auto saved = save_together(requests);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_TRUE(saved->warnings.empty());
  states_["t"] = state_;
  expect_sound();
}

TEST_F(SaveParts, BoxesOfOneWriterInSeveralParts) {
  RankRequests requests = cut_state("t", state_, {3, 1});
  for (SaveRequest& request : requests) {
    for (TensorSource& source : request.tensors) source.writer = 0;
  }
  ASSERT_TRUE(succeeds(save_together(requests)));
  states_["t"] = state_;
  expect_sound();
}

TEST_F(SaveParts, SeveralWritersInOnePart) {
  const RankRequests requests = cut_state("t", state_, {1, 4});
  const RankRequests pairs = {joined({requests[0], requests[1]}, "t"),
                              joined({requests[2], requests[3]}, "t")};
  ASSERT_TRUE(succeeds(save_together(pairs)));
  states_["t"] = state_;
  expect_sound();
}

TEST_F(SaveParts, WhatDidNotChangeIsNotStored) {
  for (const Mesh& mesh : {Mesh{1, 3}, Mesh{3, 1}}) {
    const std::string prefix = fmt::format("run{}/", mesh.rows);
    RankRequests requests = cut_state(prefix + "1", state_, mesh);
    ASSERT_TRUE(succeeds(save_together(requests)));
    states_[prefix + "1"] = state_;
    const size_t packs = files_in("packs").size();
    for (SaveRequest& request : requests) {
      request.tag = prefix + "2";
      request.base.reset();
    }
    const auto second = save_together(requests);
    ASSERT_TRUE(succeeds(second));
    states_[prefix + "2"] = state_;
    EXPECT_EQ(second->base, prefix + "1");
    EXPECT_EQ(second->facts.new_bytes, 0u);
    EXPECT_EQ(second->facts.new_chunks, 0u);
    EXPECT_EQ(files_in("packs").size(), packs);
    const auto a = *open_tag(*store_, prefix + "1"), b = *open_tag(*store_, prefix + "2");
    EXPECT_EQ(a->table().pages, b->table().pages) << "pages and locators are shared";
    EXPECT_EQ(a->tag().layout, b->tag().layout);
  }
  expect_sound();
}

/// The last of the unlike bytes is one rank's.
TEST_F(SaveParts, OnlyThePiecesThatChangeAreStored) {
  const Mesh columns{1, 4};
  RankRequests requests = cut_state("run/1", state_, columns);
  ASSERT_TRUE(succeeds(save_together(requests)));
  states_["run/1"] = state_;
  state_["even"].bytes.back() ^= 1;
  requests = cut_state("run/2", state_, columns);
  for (SaveRequest& request : requests) request.base = "run/1";
  const auto second = save_together(requests);
  ASSERT_TRUE(succeeds(second));
  states_["run/2"] = state_;
  EXPECT_EQ(second->facts.new_chunks, 1u);
  expect_sound();
}

class TrainedParts : public SaveParts {
 protected:
  void SetUp() override {
    SaveParts::SetUp();
    trainer_.add("a", {64, 40});
    trainer_.add("b", {30, 33}, Dtype::kF16);
    trainer_.add("c", {4});
    trainer_.add("e", {1100});
  }

  RankRequests requests(const std::string& tag, const Mesh& mesh) {
    RankRequests requests = cut_state(tag, trainer_.state(), mesh);
    for (SaveRequest& request : requests) {
      request.base.reset();
      request.optimizer.common = trainer_.facts();
    }
    return requests;
  }
  SaveResult save_step(const std::string& tag, const Mesh& mesh, const Change& change = {}) {
    RankRequests all = requests(tag, mesh);
    if (change) {
      for (SaveRequest& request : all) change(request);
    }
    const auto saved = save_together(all);
    EXPECT_TRUE(succeeds(saved)) << tag;
    states_[tag] = trainer_.state();
    return saved ? *saved : SaveResult();
  }

  Trainer trainer_{7};
};

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

TEST_F(TrainedParts, AReplicaThatDiffersIsTold) {
  trainer_.step();
  State other = trainer_.state();
  other["e.master"].bytes[5] ^= 1;
  other["c.first"].bytes[0] ^= 1;
  RankRequests all = {cut_state("t", trainer_.state(), {1, 1})[0],
                      cut_state("t", other, {1, 1})[0]};
  for (TensorSource& source : all[1].tensors) source.writer = 1;
  all[0].attachments = {{"seed", as_bytes("1")}, {"same", as_bytes("s")}};
  all[1].attachments = {{"seed", as_bytes("22")}, {"same", as_bytes("s")}};
  const auto saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->warnings,
            (std::vector<std::string>{
                "the tensor 'c.first' of rank 1 differs from that of rank 0, which was saved",
                "the tensor 'e.master' of rank 1 differs from that of rank 0, which was saved",
                "the attachment 'seed' of part 1 differs from that of part 0, which was saved"}));
  states_["t"] = trainer_.state();
  expect_sound();
}

/// Only rank 1 has the weight, which is made from its own master; the tag has rank 0's.
TEST_F(TrainedParts, ACopyMadeFromAReplicaThatDiffersIsRefused) {
  trainer_.step();
  save_step("run/0", {1, 1});
  trainer_.step();
  State other = trainer_.state();
  other["e.master"].bytes[5] ^= 1;
  RankRequests all = {requests("run/1", {1, 1})[0], cut_state("run/1", other, {1, 1})[0]};
  for (TensorSource& source : all[1].tensors) source.writer = 1;
  all[1].base.reset();
  std::erase_if(all[0].tensors,
                [](const TensorSource& source) { return source.name == "e.weight"; });
  SavedParts parts = store_parts(all);
  refuses(Code::kUsage,
          "'e.weight' of rank 1 is made from its 'e.master', which is another than that of rank 0",
          uniting(all[0], parts));
  keep_all(parts);
  other["e.master"] = trainer_.state()["e.master"];
  for (SaveRequest& request : all) request.tag = "run/2";
  ASSERT_TRUE(succeeds(save_together(all)));
  states_["run/2"] = trainer_.state();
  collect_all();
  expect_sound();
}

TEST_F(SaveParts, HolesOverlapsAndOtherShapesAreNamed) {
  const RankRequests all = cut_state("t", {{"even", state_["even"]}}, {4, 1});
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  request.parts.erase(request.parts.begin() + 2);
  refuses(Code::kUsage,
          "tensor 'even': no box holds [32:48,0:64] of shape [64, 64]; it was saved by rank 0, "
          "rank 1, rank 3",
          request);
  const auto and_part_of = [&](const HeldTensor& tensor, const Box& box) {
    SaveRequest one;
    one.tag = "t";
    one.base = "none";
    one.tensors = {box_of("even", tensor, box, 9)};
    SavedParts more = store_parts({one});
    SaveRequest united = uniting(all[0], parts);
    united.parts.push_back(more[0]->name());
    return std::pair(std::move(more), united);
  };
  const auto [overlap, overlapping] = and_part_of(state_["even"], {{10, 0}, {16, 64}});
  refuses(Code::kUsage,
          "tensor 'even': boxes [0:16,0:64] of rank 0 and [10:26,0:64] of rank 9 overlap",
          overlapping);
  HeldTensor other = state_["even"];
  other.dtype = Dtype::kF16;
  const auto [dtype, of_dtype] = and_part_of(other, whole_box(other.shape));
  refuses(Code::kUsage, "tensor 'even': rank 0 says BF16 [64, 64], rank 9 F16 [64, 64]", of_dtype);
  other = state_["even"];
  other.shape = {32, 128};
  const auto [shape, of_shape] = and_part_of(other, whole_box(other.shape));
  refuses(Code::kUsage, "rank 0 says BF16 [64, 64], rank 9 BF16 [32, 128]", of_shape);
}

TEST_F(SaveParts, BoxesOfOnePartAreDisjoint) {
  SaveRequest request = cut_state("t", {{"even", state_["even"]}}, {1, 1})[0];
  request.tensors.push_back(request.tensors[0]);
  const auto part = save_part(*store_, request);
  ASSERT_TRUE(fails_with(Code::kUsage, part));
  EXPECT_NE(part.error().message.find("boxes [0:64,0:64] of rank 0 and [0:64,0:64] of rank 0"),
            std::string::npos)
      << part.error().message;
}

TEST_F(SaveParts, OfAnotherTagOrStepAreRefused) {
  RankRequests all = cut_state("t", state_, {2, 1});
  all[0].step = all[1].step = 7;
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  request.tag = "u";
  refuses(Code::kUsage, "a part of the tag 't' is no part of 'u'", request);
  request = uniting(all[0], parts);
  request.step = 8;
  refuses(Code::kUsage, "the parts of 't' are of other steps: step 8 and step 7", request);
  request.step.reset();
  refuses(Code::kUsage, "no step and step 7", request);
  request = uniting(all[0], parts);
  request.parts.push_back(request.parts[0]);
  refuses(Code::kUsage, "is named twice", request);
  request.parts = {"something"};
  refuses(Code::kUsage, "'something' is no name of a part of a save", request);
  request = uniting(all[0], parts);
  request.tensors = all[0].tensors;
  refuses(Code::kUsage, "a save that unites parts has no tensors itself", request);
}

TEST_F(SaveParts, OfAnotherStoreOrGoneOrDamagedAreRefused) {
  const RankRequests all = cut_state("t", state_, {2, 1});
  SavedParts parts = store_parts(all);
  const SaveRequest request = uniting(all[0], parts);
  const auto other_store = [&] {
    EXPECT_TRUE(Store::init(posix_fs(), folder_ / "other", store_->config()));
    return *Store::open(posix_fs(), folder_ / "other");
  }();
  EXPECT_TRUE(fails_with(Code::kNotFound, save(*other_store, request)));
  const std::string meta = path() + "/" + files_in("meta").front();
  Bytes bytes = *read_file(posix_fs(), meta, kMiB);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(posix_fs().remove(meta));
  ASSERT_TRUE(write_new_file(posix_fs(), meta, bytes));
  refuses(Code::kCorrupt, "a part of the save cannot be read", request);
  parts[0]->remove();
  parts[1]->keep();
  refuses(Code::kNotFound, "a part of the save cannot be read", request);
}

TEST_F(SaveParts, AttachmentsMayComeFromEveryRank) {
  RankRequests all = cut_state("t", state_, {2, 1});
  const Bytes big = noise(2 * kMiB + 5, 9);
  all[0].attachments = {{"b", big}, {"shared", as_bytes("s")}};
  all[1].attachments = {{"a", ByteSpan(big).first(1000)}, {"empty", {}}, {"shared", as_bytes("s")}};
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  request.attachments = {{"b", as_bytes("mine")}};
  refuses(Code::kUsage, "attachment 'b' is given twice", request);
  const Bytes own = noise(70000, 10);
  request.attachments = {{"c", own}};
  ProgressCounters progress;
  request.call.progress = &progress;
  ASSERT_TRUE(succeeds(save(*store_, request)));
  EXPECT_EQ(progress.total_bytes, own.size()) << "all else is stored";
  EXPECT_EQ(progress.done_bytes, own.size());
  keep_all(parts);
  states_["t"] = state_;
  expect_sound();
  const auto checkpoint = *open_tag(*store_, "t");
  const auto read = [&](const char* name) {
    Bytes got;
    EXPECT_TRUE(succeeds(read_attachment(*checkpoint, name, [&](ByteSpan part) -> Status {
      got.insert(got.end(), part.begin(), part.end());
      return {};
    })));
    return got;
  };
  EXPECT_TRUE(read("b") == big);
  EXPECT_TRUE(read("a") == Bytes(big.begin(), big.begin() + 1000));
  EXPECT_TRUE(read("empty").empty());
  EXPECT_TRUE(read("c") == own);
}

TEST_F(SaveParts, ATagThatStandsIsKeptOrReplaced) {
  RankRequests all = cut_state("t", state_, {2, 1});
  ASSERT_TRUE(succeeds(save_together(all)));
  EXPECT_TRUE(fails_with(Code::kExists, save_part(*store_, all[0])));
  for (SaveRequest& request : all) request.if_exists = IfExists::kSame;
  auto saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_TRUE(saved->already_there);
  EXPECT_EQ(saved->facts.new_bytes, 0u);
  state_ = state(50);
  all = cut_state("t", state_, {2, 1});
  for (SaveRequest& request : all) request.if_exists = IfExists::kSame;
  EXPECT_TRUE(fails_with(Code::kExists, save_together(all)));
  for (SaveRequest& request : all) request.if_exists = IfExists::kReplace;
  saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_FALSE(saved->already_there);
  states_["t"] = state_;
  collect_all();
  expect_sound();
}

class PartsAndBases : public SaveParts {
 protected:
  /// Parts of "run/2" that were compared with "run/1".
  void store_both(const Change& change = {}) {
    RankRequests first = cut_state("run/1", state_, {2, 1});
    ASSERT_TRUE(succeeds(save_together(first)));
    states_["run/1"] = state_;
    state_["even"] = state(90).at("even");
    all_ = cut_state("run/2", state_, {2, 1});
    for (SaveRequest& request : all_) {
      request.base = "run/1";
      if (change) change(request);
    }
    parts_ = store_parts(all_);
    request_ = uniting(all_[0], parts_);
  }
  void expect_second() {
    const auto saved = save(*store_, request_);
    ASSERT_TRUE(succeeds(saved));
    keep_all(parts_);
    states_["run/2"] = state_;
    collect_all();
    expect_sound();
  }

  RankRequests all_;
  SavedParts parts_;
  SaveRequest request_;
};

TEST_F(PartsAndBases, TheBaseIsThatOfTheParts) {
  store_both();
  request_.base.reset();
  save_state("run/1b", state(70));  // a newer tag of the prefix
  const auto saved = save(*store_, request_);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->base, "run/1");
  keep_all(parts_);
  states_["run/2"] = state_;
  expect_sound();
}

TEST_F(PartsAndBases, AnotherBaseIsRefused) {
  store_both();
  save_state("other", state(70));
  request_.base = "other";
  refuses(Code::kUsage,
          "a part of 'run/2' was compared with 'run/1', where another was, or is to be, with "
          "'other'",
          request_);
  request_.base = "none";
  refuses(Code::kUsage, "compared with 'run/1'", request_);
  all_[1].base = "other";
  SavedParts more = store_parts({all_[1]});
  request_.base.reset();
  request_.parts[1] = more[0]->name();
  refuses(Code::kUsage, "compared with 'other', where another was, or is to be, with 'run/1'",
          request_);
}

TEST_F(PartsAndBases, ABaseThatIsGoneOrChangedIsRefused) {
  store_both();
  const auto change = [](SaveRequest& request) { request.if_exists = IfExists::kReplace; };
  save_state("run/1", state(70), {}, change);
  refuses(Code::kBusy, "the tag 'run/1', which parts of 'run/2' were compared with, has changed",
          request_);
  forget({"run/1"});
  refuses(Code::kBusy, "the tag 'run/1', which parts of 'run/2' were compared with, has changed",
          request_);
}

/// The copies lie elsewhere by then; what the parts count on are the old ones.
TEST_F(PartsAndBases, ABaseThatGcMovedMeanwhileIsAsGood) {
  save_state("doomed", state(60));
  store_both();
  const Reference table = store_->find_tag("run/1")->table;
  forget({"doomed"});
  collect_all();
  EXPECT_NE(store_->find_tag("run/1")->table, table) << "gc has moved the base";
  expect_second();
}

TEST_F(PartsAndBases, GcLeavesWhatLivingPartsCountOn) {
  store_both();
  const auto packs = files_in("packs");
  collect_all();
  EXPECT_EQ(files_in("packs"), packs);
  expect_second();
}

/// gc comes when the parts are read and before the commit; their processes are dead by then.
TEST_F(PartsAndBases, PacksThatGcTookAreSeenByTheCommit) {
  store_both();
  request_.check_sources = [&]() -> Status {
    for (const auto& part : parts_) {
      const auto session = *SessionId::parse(part->name().substr(0, 32));
      CAIRN_CHECK(posix_fs().remove(lease_path(path(), session)));
    }
    return collect(*store_, GcRequest{}) ? Status() : fail(Code::kFailed, "gc");
  };
  refuses(Code::kBusy, "was collected meanwhile", request_);
  expect_sound();
}

/// What a part's look-up found is protected by no lease.
TEST_F(PartsAndBases, PacksThatAPartHasFoundAreSeenByTheCommit) {
  State found = state(90);
  save_state("elsewhere", found);
  std::map<Digest, Copy> known;
  const auto checkpoint = *open_tag(*store_, "elsewhere");
  for (uint32_t number = 0; number < checkpoint->table().pages.size(); ++number) {
    const auto page = *checkpoint->page(number);
    for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
      known[page->digest_of(slot)] = page->locator.copies[slot];
    }
  }
  const auto look_up = [&](const std::vector<Digest>& wanted,
                           std::vector<std::optional<Copy>>& copies) -> Status {
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (known.contains(wanted[i])) copies[i] = known[wanted[i]];
    }
    return {};
  };
  store_both([&](SaveRequest& request) { request.look_up = look_up; });
  EXPECT_EQ(save(*store_, [&] {
              SaveRequest early = request_;
              early.check_sources = [] { return fail(Code::kCancelled, "only a try"); };
              return early;
            }()).error().code,
            Code::kCancelled);
  forget({"elsewhere"});
  collect_all();
  refuses(Code::kBusy, "was collected meanwhile", request_);
  expect_sound();
}

TEST_F(SaveParts, EndAsTheyAreTold) {
  const RankRequests all = cut_state("t", state_, {3, 1});
  SavedParts parts = store_parts(all);
  EXPECT_EQ(files_in("sessions").size(), 3u);
  parts[0]->remove();
  EXPECT_EQ(files_in("sessions").size(), 2u);
  EXPECT_EQ(files_in("meta").size(), 2u);
  EXPECT_EQ(files_in("packs").size(), 2u);
  parts[1]->keep();
  parts[1]->remove();
  EXPECT_EQ(files_in("meta").size(), 1u) << "nothing refers to a part";
  EXPECT_EQ(files_in("packs").size(), 2u) << "the tag may need them";
  parts[2].reset();
  EXPECT_TRUE(files_in("sessions").empty());
  EXPECT_EQ(files_in("packs").size(), 2u);
  collect_all();
  EXPECT_TRUE(files_in("packs").empty());
  EXPECT_TRUE(files_in("meta").empty());
}

TEST_F(SaveParts, AStoppedOneLeavesNothing) {
  SaveRequest request = cut_state("t", state_, {2, 1})[0];
  const std::atomic<bool> stop = true;
  request.call.stop = &stop;
  EXPECT_TRUE(fails_with(Code::kCancelled, save_part(*store_, request)));
  request.tensors.clear();
  EXPECT_TRUE(fails_with(Code::kCancelled, save_part(*store_, request))) << "nothing to store";
  request = cut_state("t", state_, {2, 1})[0];
  request.check_sources = [] { return fail(Code::kFailed, "the file changed"); };
  EXPECT_TRUE(fails_with(Code::kFailed, save_part(*store_, request)));
  for (const char* folder : {"packs", "meta", "sessions"}) {
    EXPECT_TRUE(files_in(folder).empty()) << folder;
  }
}

/// The disk is full from any one call on, while a part is stored or parts are united.
TEST_F(SaveParts, AFullDiskLeavesNothing) {
  const RankRequests all = cut_state("t", state_, {2, 1});
  FaultFs disk(posix_fs());
  const auto full = *Store::open(disk, path());
  disk.counts = [](FsCall call, const std::string&) {
    return call == FsCall::kCreate || call == FsCall::kWrite || call == FsCall::kSync ||
           call == FsCall::kFolder;
  };
  const auto fails = [&](const auto& work) {
    disk.calls = 0;
    disk.for_ever = true;
    disk.fail_at = 0;
    const auto before = std::tuple(files_in("packs"), files_in("meta"), files_in("sessions"));
    for (;; ++disk.fail_at) {
      disk.calls = 0;
      const auto done = work();
      if (done) return;
      ASSERT_TRUE(fails_with(Code::kNoSpace, done)) << disk.fail_at;
      ASSERT_EQ(std::tuple(files_in("packs"), files_in("meta"), files_in("sessions")), before)
          << disk.fail_at;
    }
  };
  SavedParts parts;
  fails([&]() -> Status {
    CAIRN_TRY(parts.emplace_back(), save_part(*full, all[0]));
    return {};
  });
  EXPECT_GT(disk.fail_at, 5u);
  parts = store_parts(all);
  fails([&] { return save(*full, uniting(all[0], parts)); });
  EXPECT_GT(disk.fail_at, 5u);
  states_["t"] = state_;
  keep_all(parts);
  collect_all();
  expect_sound();
}

TEST_F(SaveParts, ABaseThatCouldNotBeReadIsTold) {
  state_ = {{"w", {Dtype::kF32, {64, 64}, Role::kNone, "", noise(16384, 5)}}};
  RankRequests all = cut_state("run/1", state_, {2, 1});
  ASSERT_TRUE(succeeds(save_together(all)));
  for (const std::string& pack : files_in("packs")) {
    Bytes bytes = *read_file(posix_fs(), path() + "/" + pack, kMiB);
    bytes[4096 + 77] ^= 1;
    ASSERT_TRUE(posix_fs().remove(path() + "/" + pack));
    ASSERT_TRUE(write_new_file(posix_fs(), path() + "/" + pack, bytes));
  }
  State after = state_;
  for (size_t i = 0; i < after["w"].bytes.size(); i += 4) after["w"].bytes[i] ^= 1;
  all = cut_state("run/2", after, {2, 1});
  for (SaveRequest& request : all) request.base = "run/1";
  const auto saved = save_together(all);
  ASSERT_TRUE(succeeds(saved));
  EXPECT_EQ(saved->damaged_base, "run/1");
  EXPECT_GT(saved->unread_chunks, 0u);
  states_["run/2"] = after;
  expect_exact("run/2");
}

}  // namespace
}  // namespace cairn
