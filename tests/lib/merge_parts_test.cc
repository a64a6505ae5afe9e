// Parts put together are the tag that one process would save.
#include "lib/merge_parts.h"

#include <fmt/format.h>

#include "lib/part.h"
#include "lib/read_parts.h"
#include "lib/save_session.h"
#include "tests/lib/parts_fixture.h"

namespace cairn {
namespace {

using MergeParts = PartsFixture;

TEST_F(MergeParts, AreTheTagThatOneProcessWouldSave) {
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

TEST_F(MergeParts, InAnyOrder) {
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

TEST_F(MergeParts, ReplicasAreStoredOnceInTheTag) {
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
TEST_F(MergeParts, RanksThatShareSomeBoxes) {
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

TEST_F(MergeParts, BoxesOfOneWriterInSeveralParts) {
  RankRequests requests = cut_state("t", state_, {3, 1});
  for (SaveRequest& request : requests) {
    for (TensorSource& source : request.tensors) source.writer = 0;
  }
  ASSERT_TRUE(succeeds(save_together(requests)));
  states_["t"] = state_;
  expect_sound();
}

TEST_F(MergeParts, SeveralWritersInOnePart) {
  const RankRequests requests = cut_state("t", state_, {1, 4});
  const RankRequests pairs = {joined({requests[0], requests[1]}, "t"),
                              joined({requests[2], requests[3]}, "t")};
  ASSERT_TRUE(succeeds(save_together(pairs)));
  states_["t"] = state_;
  expect_sound();
}

TEST_F(MergeParts, WhatDidNotChangeIsNotStored) {
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
TEST_F(MergeParts, OnlyThePiecesThatChangeAreStored) {
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

TEST_F(MergeParts, AttachmentsMayComeFromEveryRank) {
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

TEST_F(MergeParts, AForgedPartIsRefused) {
  RankRequests all = cut_state("t", state_, {2, 1});
  const Bytes big = noise(70000, 9);
  all[0].attachments = {{"a", big}};
  all[1].attachments = {{"a", ByteSpan(big).first(60000)}};  // rank 0's counts
  SavedParts parts = store_parts(all);
  SaveRequest request = uniting(all[0], parts);
  auto forged = read_parts(*store_, request)->at(1);
  // A copy that is made from a chunk that no plan has.
  PartUnit& last = forged.units.back();
  ASSERT_GE(last.item, forged.schema.tensors.size()) << "the attachment";
  last.chunk = uint64_t{1} << 40;
  Copy& copy = forged.copies.copies.front();
  copy.encoding = Encoding::kDelta;
  copy.bases = {{kOwnUnits, static_cast<uint32_t>(forged.units.size() - 1)}};
  const auto session = *SaveSession::begin(*store_, all[1], "none");
  forged.session = session->id();
  for (Copy& each : forged.copies.copies) each.pack.session = session->id();
  const auto told = session->metas().add(ObjectKind::kPart, encode_part(forged));
  ASSERT_TRUE(succeeds(told));
  ASSERT_TRUE(succeeds(session->metas().finish()));
  request.parts[1] = part_name(*told);
  const auto saved = save(*store_, request);
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().code, Code::kBug) << saved.error().message;
}

TEST_F(MergeParts, HolesOverlapsAndOtherShapesAreNamed) {
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

TEST_F(MergeParts, ATagThatStandsIsKeptOrReplaced) {
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

}  // namespace
}  // namespace cairn
