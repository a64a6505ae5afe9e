// A save in one sharding and a load in another, through a real store in a temporary folder.
#include "tests/lib/store_fixture.h"

namespace cairn {
namespace {

using SaveLoad = StoreFixture;

TEST_F(SaveLoad, AnyCutGivesTheSameBytesAndWholeChunksTheSameManifest) {
  const Shape shape = {96, 1024};
  const Bytes data = noise(96 * 1024 * 2, 1);
  std::vector<Digest> manifests;
  for (const auto& [axis, parts, writers] : std::vector<std::tuple<size_t, uint64_t, bool>>{
           {0, 1, false}, {0, 4, true}, {0, 3, false}, {1, 2, true}, {1, 5, true}, {0, 7, true}}) {
    SaveRequest request;
    request.tag = "run/t" + std::to_string(manifests.size());
    request.tensors = cut("w", shape, data, axis, parts, writers);
    const auto saved = save(*store_, request);
    ASSERT_TRUE(saved) << saved.error().message;
    manifests.push_back(saved->manifest);
    EXPECT_EQ(load_whole(request.tag, "w", shape), data) << request.tag;
  }
  EXPECT_EQ(manifests[0], manifests[1]);
  EXPECT_EQ(manifests[0], manifests[2]);
  EXPECT_EQ(manifests[0], manifests[3]);
  EXPECT_NE(manifests[0], manifests[4]) << "cuts inside chunks make pieces";
}

TEST_F(SaveLoad, UnchangedStateAddsNoData) {
  const Shape shape = {256, 1024};
  Bytes data = noise(256 * 1024 * 2, 2);
  SaveRequest request;
  request.tag = "run/1";
  request.tensors = cut("w", shape, data, 0, 1, false);
  const auto first = save(*store_, request);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->facts.new_bytes, data.size());
  request.tag = "run/2";
  request.step = 2;
  const auto second = save(*store_, request);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->facts.new_bytes, 0u);
  EXPECT_EQ(second->reused_bytes, data.size());
  EXPECT_EQ(second->base, "run/1");
  EXPECT_LT(second->facts.stored_bytes, 4096u);
  EXPECT_NE(second->manifest, first->manifest) << "the step is part of the identity";
  data[5] ^= 1;
  request.tag = "run/3";
  const auto third = save(*store_, request);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->facts.new_chunks, 1u);
  EXPECT_EQ(load_whole("run/3", "w", shape), data);
}

TEST_F(SaveLoad, HolesAndDisagreeingOverlapsAreRefused) {
  const Shape shape = {8, 8};
  const Bytes a = noise(128, 3), b = noise(128, 4);
  SaveRequest request;
  request.tag = "t";
  request.tensors = cut("w", shape, a, 0, 2, false);
  request.tensors.pop_back();
  const auto hole = save(*store_, request);
  ASSERT_FALSE(hole);
  EXPECT_EQ(hole.error().code, Code::kUsage);
  EXPECT_NE(hole.error().message.find("[4:8,0:8]"), std::string::npos) << hole.error().message;
  request.tensors = cut("w", shape, a, 0, 1, false);
  request.tensors.push_back(cut("w", shape, b, 0, 2, false)[1]);
  const auto overlap = save(*store_, request);
  ASSERT_FALSE(overlap);
  EXPECT_NE(overlap.error().message.find("[0:8,0:8]"), std::string::npos);
  EXPECT_NE(overlap.error().message.find("[4:8,0:8]"), std::string::npos);
  request.tensors.back() = cut("w", shape, a, 0, 2, false)[1];
  EXPECT_TRUE(save(*store_, request)) << "replicas that agree are fine";
}

TEST_F(SaveLoad, ScalarsEmptyTensorsAndAttachments) {
  const float scalar = 57;
  const Bytes text = noise(3 * kMiB + 5, 6);
  SaveRequest request;
  request.tag = "t";
  request.tensors.push_back({"step", Dtype::kF32, {}, whole_box({}), &scalar, {}, 0});
  request.tensors.push_back({"none", Dtype::kF32, {0, 4}, whole_box({0, 4}), nullptr, {}, 0});
  request.attachments.push_back({"tokenizer.json", text});
  const auto saved = save(*store_, request);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(saved->facts.logical_bytes, 4u);
  EXPECT_EQ(saved->facts.attachment_bytes, text.size());
  auto checkpoint = open_tag(*store_, "t");
  ASSERT_TRUE(checkpoint);
  float loaded = 0;
  LoadRequest wanted;
  wanted.targets.push_back({"step", Dtype::kF32, {}, whole_box({}), &loaded, {}});
  ASSERT_TRUE(load(**checkpoint, wanted));
  EXPECT_EQ(loaded, scalar);
  Bytes read;
  ASSERT_TRUE(read_attachment(**checkpoint, "tokenizer.json", [&](ByteSpan part) -> Status {
    append_bytes(read, part);
    return {};
  }));
  EXPECT_EQ(read, text);
}

TEST_F(SaveLoad, NamesThatDoNotFitAreReportedBeforeReading) {
  const Bytes data = noise(128, 7);
  SaveRequest request;
  request.tag = "t";
  request.tensors = cut("w", {8, 8}, data, 0, 1, false);
  ASSERT_TRUE(save(*store_, request));
  auto checkpoint = open_tag(*store_, "t");
  ASSERT_TRUE(checkpoint);
  Bytes room(256);
  LoadRequest wanted;
  wanted.targets.push_back({"x", Dtype::kBF16, {8, 8}, whole_box({8, 8}), room.data(), {}});
  const auto missing = load(**checkpoint, wanted);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("missing: x"), std::string::npos);
  wanted.rename.push_back({"^w$", "x"});
  EXPECT_TRUE(load(**checkpoint, wanted));
  EXPECT_EQ(Bytes(room.begin(), room.begin() + 128), data);
  wanted.targets[0].dtype = Dtype::kF32;
  EXPECT_FALSE(load(**checkpoint, wanted));
  wanted.cast = true;
  EXPECT_TRUE(load(**checkpoint, wanted));
}

TEST_F(SaveLoad, TheSameTagTwice) {
  const Bytes data = noise(128, 8), other = noise(128, 9);
  SaveRequest request;
  request.tag = "t";
  request.tensors = cut("w", {8, 8}, data, 0, 1, false);
  ASSERT_TRUE(save(*store_, request));
  const auto again = save(*store_, request);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kExists);
  request.if_exists = IfExists::kSame;
  const auto same = save(*store_, request);
  ASSERT_TRUE(same);
  EXPECT_TRUE(same->already_there);
  request.tensors = cut("w", {8, 8}, other, 0, 1, false);
  EXPECT_FALSE(save(*store_, request));
  request.if_exists = IfExists::kReplace;
  EXPECT_TRUE(save(*store_, request));
  EXPECT_EQ(load_whole("t", "w", {8, 8}), other);
  EXPECT_TRUE(posix_fs().list(path() + "/sessions")->empty());
}

}  // namespace
}  // namespace cairn
