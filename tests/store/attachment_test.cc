// Where attachments are cut: one answer, whatever the rule.
#include "store/attachment.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

/// The edges one after the other, as who reads an attachment meets them.
std::vector<uint64_t> lengths_of(const ChunkEdges& edges) {
  std::vector<uint64_t> lengths;
  uint64_t begin = 0;
  for (uint64_t chunk = 0; chunk < edges.count(); ++chunk) {
    EXPECT_EQ(edges.begin(chunk), begin);
    lengths.push_back(edges.length(chunk));
    begin += lengths.back();
  }
  return lengths;
}

TEST(ChunkEdges, RunsAreOfOneLengthButTheLast) {
  using Lengths = std::vector<uint64_t>;
  EXPECT_EQ(lengths_of(ChunkEdges::runs(0, 100)), Lengths());
  EXPECT_EQ(lengths_of(ChunkEdges::runs(1, 100)), Lengths{1});
  EXPECT_EQ(lengths_of(ChunkEdges::runs(100, 100)), Lengths{100});
  EXPECT_EQ(lengths_of(ChunkEdges::runs(301, 100)), (Lengths{100, 100, 100, 1}));
}

TEST(ChunkEdges, RunsOfWhatNoMemoryHoldsTakeNone) {
  EXPECT_EQ(ChunkEdges::runs(UINT64_MAX, 1).count(), UINT64_MAX);
  const ChunkEdges edges = ChunkEdges::runs(UINT64_MAX, kMiB);
  EXPECT_EQ(edges.count(), uint64_t{1} << 44);
  EXPECT_EQ(edges.length(edges.count() - 1), kMiB - 1);
}

TEST(ChunkEdges, ToldOnesAreAsTheyAreTold) {
  EXPECT_EQ(lengths_of(ChunkEdges::told({})), std::vector<uint64_t>());
  EXPECT_EQ(lengths_of(ChunkEdges::told({7, 8, 20})), (std::vector<uint64_t>{7, 1, 12}));
  EXPECT_TRUE(ChunkEdges::told({}).are_told());
  EXPECT_FALSE(ChunkEdges::runs(0, 1).are_told());
}

Config config_of(bool content_cuts) {
  Config config;
  config.opaque_chunk_bytes = 256;
  if (!content_cuts) config.features = {};
  return config;
}

TEST(SettleEdges, RunsComeFromTheStore) {
  std::vector<AttachmentInfo> attachments = {{"a", 1000}, {"b", 0}};
  ASSERT_TRUE(settle_edges(attachments, config_of(false)));
  EXPECT_EQ(attachments[0].edges, ChunkEdges::runs(1000, 256));
  EXPECT_EQ(attachments[1].edges.count(), 0u);
}

TEST(SettleEdges, ToldEdgesStay) {
  std::vector<AttachmentInfo> attachments = {{"a", 1100, ChunkEdges::told({1024, 1100})},
                                             {"b", 0, ChunkEdges::told({})}};
  ASSERT_TRUE(settle_edges(attachments, config_of(true)));
  EXPECT_EQ(attachments[0].edges, ChunkEdges::told({1024, 1100}));
}

TEST(SettleEdges, AManifestOfAnotherKindOfStoreIsDamage) {
  const auto refuses = [](AttachmentInfo attachment, bool content_cuts, std::string_view words) {
    std::vector<AttachmentInfo> attachments = {{"0", 0, ChunkEdges::told({})}, attachment};
    if (!content_cuts) attachments.erase(attachments.begin());
    const Status status = settle_edges(attachments, config_of(content_cuts));
    ASSERT_FALSE(status) << words;
    EXPECT_EQ(status.error().code, Code::kCorrupt);
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  };
  refuses({"a", 1000}, true, "attachment 'a' has no chunk lengths");
  refuses({"a", 9, ChunkEdges::told({9})}, false, "attachment 'a' has chunk lengths of its own");
  refuses({"a", 1025, ChunkEdges::told({1025})}, true,
          "attachment 'a' has a chunk that is too long");
}

}  // namespace
}  // namespace cairn
