#include "gpu/chunker_plan.h"

#include "base/chunker.h"
#include "base/digest.h"
#include "gpu/chunk_space.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

/// Contents one after the other in device memory, cut there and on the host.
class DeviceCuts {
 public:
  explicit DeviceCuts(std::vector<Bytes> contents, uint64_t gap = 16)
      : contents_(std::move(contents)) {
    uint64_t bytes = 0;
    for (const Bytes& content : contents_) bytes += (content.size() + 15) / 16 * 16 + gap;
    memory_.emplace(bytes);
    uint64_t at = gap;
    for (const Bytes& content : contents_) {
      buffers_.push_back({memory_->data() + at, content.size()});
      must(copy_up({}, memory_->data() + at, content));
      at += (content.size() + 15) / 16 * 16 + gap;
    }
  }

  void expect_cut(const ChunkRule& rule, Share share = {}) {
    const ChunkPlan plan = must(ChunkPlan::make(buffers_, rule));
    const OnDevice image(plan.image()), workspace(plan.workspace_bytes());
    const OnDevice chunks(plan.chunks_bytes());
    must(cut({}, plan, image.span(), workspace.span(), chunks.span(), share));
    const auto cuts = must(read_cuts(chunks.content(), buffers_));
    ASSERT_TRUE(cuts);
    for (size_t i = 0; i < contents_.size(); ++i) {
      EXPECT_EQ((*cuts)[i], cut_content(contents_[i], rule))
          << "content " << i << " of " << contents_[i].size();
    }
    expect_digests(plan, chunks, *cuts);
  }

 private:
  void expect_digests(const ChunkPlan& plan, const OnDevice& chunks,
                      const std::vector<std::vector<uint64_t>>& cuts) {
    const OnDevice workspace(plan.chunks().workspace_bytes());
    const OnDevice out(32 * plan.chunks().tiles());
    must(digest({}, plan.chunks(), chunks.span(), workspace.span(), out.span()));
    const Bytes digests = out.content();
    size_t number = 0;
    for (size_t i = 0; i < contents_.size(); ++i) {
      uint64_t begin = 0;
      for (const uint64_t end : cuts[i]) {
        const Digest wanted = blake3(ByteSpan(contents_[i]).subspan(begin, end - begin));
        Digest found;
        std::memcpy(found.bytes.data(), digests.data() + 32 * number++, 32);
        ASSERT_EQ(found.hex(), wanted.hex()) << "content " << i << " to " << end;
        begin = end;
      }
    }
  }

  std::vector<Bytes> contents_;
  std::vector<DeviceSpan> buffers_;
  std::optional<OnDevice> memory_;
};

TEST(DeviceChunker, CutsWhereTheHostDoes) {
  std::vector<Bytes> contents;
  for (const uint64_t bytes : {300'000, 16'384, 16'388, 65'536, 100'001}) {
    contents.push_back(random_content(bytes, bytes));
  }
  DeviceCuts cuts(contents);
  in_any_order([&] {
    cuts.expect_cut(ChunkRule::of_average(1024));
    cuts.expect_cut(ChunkRule::of_average(65536));
  });
}

TEST(DeviceChunker, CutsContentsOfEveryLength) {
  std::vector<Bytes> contents;
  for (uint64_t bytes = 0; bytes < 40; ++bytes) contents.push_back(random_content(bytes, 1));
  for (uint64_t bytes = 510; bytes < 520; ++bytes) contents.push_back(random_content(bytes, 2));
  for (uint64_t bytes = 16'380; bytes < 16'392; ++bytes) {
    contents.push_back(random_content(bytes, 3));
  }
  contents.emplace_back();
  DeviceCuts(contents).expect_cut(ChunkRule::of_average(256));
}

TEST(DeviceChunker, CutsAtAnyAlignment) {
  std::vector<Bytes> contents;
  for (uint64_t i = 0; i < 6; ++i) contents.push_back(random_content(20'000 + i, i));
  for (const uint64_t gap : {1, 2, 4, 7})
    DeviceCuts(contents, gap).expect_cut(ChunkRule::of_average(512));
}

TEST(DeviceChunker, FollowsOneLongChain) {
  // The chain crosses runs of starts, and groups of segments.
  DeviceCuts({random_content(5 << 20, 4)}).expect_cut(ChunkRule::of_average(4096));
  DeviceCuts({random_content(700 << 10, 4)}).expect_cut(ChunkRule::of_average(256), Share{2});
}

TEST(DeviceChunker, CutsWithoutCandidates) {
  Bytes flat(200'000, 0x55);
  DeviceCuts({flat, Bytes(100'000), {}}).expect_cut(ChunkRule::of_average(4096));
  // Random content between long stretches of none.
  Bytes mixed = random_content(50'000, 5);
  mixed.resize(120'000);
  append_bytes(mixed, random_content(50'000, 6));
  DeviceCuts({mixed, flat}).expect_cut(ChunkRule::of_average(1024));
}

TEST(DeviceChunker, CutsByRulesOfTests) {
  // All words are candidates, or none is; chunks of one word.
  const Bytes content = random_content(10'000, 7);
  DeviceCuts cuts({content, random_content(999, 8)});
  cuts.expect_cut({64, 256, ~0u});
  cuts.expect_cut({64, 256, 0});
  cuts.expect_cut({4, 4, 1u << 28});
  cuts.expect_cut({4, 40, 1u << 30});
}

TEST(DeviceChunker, CutsByRulesAtTheirLimits) {
  DeviceCuts cuts({random_content(10'000, 7), Bytes(5'000), {}});
  cuts.expect_cut({uint64_t{1} << 50, uint64_t{1} << 50, 1u << 28});
  cuts.expect_cut({4, uint64_t{1} << 50, 1u << 24});
  cuts.expect_cut({4, 4, 0});
  // A candidate that is reached by forced cuts, and then too near.
  cuts.expect_cut({400, 404, 1u << 23});
  cuts.expect_cut({36, 40, 1u << 26});
}

TEST(DeviceChunker, OnFewMultiprocessors) {
  DeviceCuts cuts({random_content(300 << 10, 9), random_content(100 << 10, 10)});
  for (const unsigned share : {1, 2, 3}) cuts.expect_cut(ChunkRule::of_average(256), Share{share});
}

TEST(DeviceChunker, SaysWhenCandidatesAreTooMany) {
  // A word whose hash, repeated, is low: h = -g modulo 2^32.
  const ChunkRule rule = ChunkRule::of_average(65536);
  uint32_t word = 0;
  while (static_cast<uint32_t>(-word_mix(word)) > rule.threshold) ++word;
  Bytes content;
  while (content.size() < 100'000) append_le(content, word);
  const OnDevice memory(content);
  const std::vector<DeviceSpan> buffers = {memory.span()};
  const ChunkPlan plan = must(ChunkPlan::make(buffers, rule));
  const OnDevice image(plan.image()), workspace(plan.workspace_bytes());
  const OnDevice chunks(plan.chunks_bytes());
  must(cut({}, plan, image.span(), workspace.span(), chunks.span()));
  EXPECT_FALSE(must(read_cuts(chunks.content(), buffers)));
}

TEST(DeviceChunker, OfNothing) { DeviceCuts({}).expect_cut(ChunkRule::of_average(256)); }

TEST(DeviceChunker, RefusesWhatDoesNotFit) {
  const auto refused = [](std::vector<DeviceSpan> buffers, ChunkRule rule) {
    const auto plan = ChunkPlan::make(buffers, rule);
    return !plan && plan.error().code == Code::kUsage;
  };
  const ChunkRule rule = ChunkRule::of_average(1 << 20);
  EXPECT_TRUE(refused({{nullptr, 100}}, {0, 4, 0}));
  EXPECT_TRUE(refused({{nullptr, 100}}, {8, 4, 0}));
  EXPECT_TRUE(refused({{nullptr, 100}}, {6, 12, 0}));
  EXPECT_TRUE(refused({{nullptr, 100}}, {4, ~uint64_t{3}, 0}));
  EXPECT_TRUE(refused({{nullptr, 100}}, {~uint64_t{3}, ~uint64_t{3}, 0}));
  EXPECT_TRUE(refused({{nullptr, uint64_t{1} << 51}}, rule));
  EXPECT_TRUE(refused({{nullptr, uint64_t{1} << 63}, {nullptr, uint64_t{1} << 63}}, rule));
  EXPECT_TRUE(refused({{nullptr, uint64_t{1} << 40}}, {4, 8, 0}));
  EXPECT_FALSE(refused({{nullptr, uint64_t{1} << 40}}, rule));  // 2^38 words
}

TEST(DeviceCutsRead, ThatContradictTheBuffersAreRefused) {
  Bytes content(1000);
  const std::vector<DeviceSpan> buffers = {{content.data(), 1000}};
  const auto chunks = [&](uint64_t count, std::vector<Tile> tiles) {
    Bytes bytes;
    append_le<uint64_t>(bytes, count);
    append_le<uint64_t>(bytes, kCutsMade);
    for (const Tile& tile : tiles) append_bytes(bytes, as_bytes(&tile, sizeof tile));
    return bytes;
  };
  const Tile front{content.data(), 600}, back{content.data() + 600, 400};
  const auto ends = must(read_cuts(chunks(2, {front, back}), buffers));
  EXPECT_EQ(ends->at(0), (std::vector<uint64_t>{600, 1000}));
  const auto damaged = [&](const Bytes& bytes) {
    return read_cuts(bytes, buffers).error().code == Code::kCorrupt;
  };
  EXPECT_TRUE(damaged(Bytes(15)));
  Bytes unknown = chunks(2, {front, back});
  unknown[8] = 7;
  EXPECT_TRUE(damaged(unknown));
  EXPECT_TRUE(damaged(chunks(3, {front, back})));
  EXPECT_TRUE(damaged(chunks(1, {front, back})));
  EXPECT_TRUE(damaged(chunks(2, {back, front})));
  EXPECT_TRUE(damaged(chunks(2, {front, Tile{content.data() + 600, 401}})));
  EXPECT_TRUE(damaged(chunks(2, {front, Tile{content.data() + 600, 0}})));
  EXPECT_TRUE(damaged(chunks(3, {front, back, Tile{content.data(), 1}})));
}

}  // namespace
}  // namespace cairn::gpu
