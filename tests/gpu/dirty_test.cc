#include "gpu/dirty.h"

#include "gpu/chunker_plan.h"
#include "gpu/dirty_set.h"
#include "gpu/gather.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

/// Tiles in device memory, their digests before and now, and what the device finds.
class DirtyChunks : public testing::Test {
 protected:
  static constexpr uint64_t kContentBytes = 300 << 10;

  void add(uint64_t offset, uint64_t row_bytes, int64_t stride_bytes = 0, uint64_t rows = 1) {
    tiles_.push_back({memory_.data() + offset, row_bytes, stride_bytes, rows});
  }
  void add_random(size_t count) {
    while (tiles_.size() < count) {
      const uint64_t unit = uint64_t{1} << draw(6), rows = 1 + draw(20);
      const uint64_t row_bytes = (1 + draw(2000 / unit)) * unit;
      const uint64_t stride = row_bytes + draw(3) * unit, offset = draw(200) * unit;
      if (offset + rows * stride <= kContentBytes) {
        add(offset, row_bytes, static_cast<int64_t>(stride), rows);
      }
    }
  }
  uint64_t draw(uint64_t below) { return random_() % below; }

  /// The content of a tile, padded to where the next one begins.
  Bytes padded(uint64_t number) const {
    const Tile& tile = tiles_[number];
    Bytes bytes;
    for (uint64_t row = 0; row < tile.rows; ++row) {
      const auto* from = content_.data() + (tile.data - memory_.data()) +
                         static_cast<int64_t>(row) * tile.stride_bytes;
      bytes.insert(bytes.end(), from, from + tile.row_bytes);
    }
    bytes.resize(slab_bytes(bytes.size()));
    return bytes;
  }

  void expect_found(const std::vector<bool>& is_dirty, Share share = {}) {
    const DigestPlan plan = must(DigestPlan::make(tiles_));
    const OnDevice image(plan.image());
    Bytes before = random_content(32 * tiles_.size(), 8);
    Bytes now = before;
    for (size_t i = 0; i < tiles_.size(); ++i) {
      if (is_dirty[i]) now[32 * i + draw(32)] ^= static_cast<uint8_t>(1 + draw(255));
    }
    const OnDevice old_digests(before), new_digests(now), set(dirty_set_bytes(tiles_.size()));
    must(find_dirty({}, plan, image.span(), new_digests.span(), old_digests.span(), set.span()));
    expect_set(is_dirty, set);
    expect_gathered(plan, image, set, share);
  }

  void expect_set(const std::vector<bool>& is_dirty, const OnDevice& set) {
    const Bytes content = set.content();
    const ByteSpan marks = ByteSpan(content).first(dirty_mark_bytes(tiles_.size()));
    dirty_ = must(read_dirty(marks, tiles_));
    slab_.clear();
    std::vector<DirtyChunk> wanted;
    for (size_t i = 0; i < tiles_.size(); ++i) {
      if (!is_dirty[i]) continue;
      wanted.push_back({i, slab_.size()});
      append_bytes(slab_, padded(i));
    }
    EXPECT_EQ(dirty_, wanted);
    std::vector<DirtyChunk> listed(dirty_.size());
    if (!listed.empty()) {
      std::memcpy(listed.data(), content.data() + marks.size(), 16 * listed.size());
    }
    EXPECT_EQ(listed, wanted);
  }

  void expect_gathered(const DigestPlan& plan, const OnDevice& image, const OnDevice& set,
                       Share share) {
    const uint64_t bytes = slab_.size();
    const OnDevice whole(bytes);
    must(gather({}, plan, image.span(), set.span(), 0, whole.span(), share));
    EXPECT_EQ(whole.content(), slab_);
    // And in windows, the last of them larger than what is left, which stays as it was.
    const uint64_t window = 16 * (1 + draw(1000));
    for (uint64_t begin = 0; begin < bytes; begin += window) {
      const OnDevice part(Bytes(window, 0xEE));
      must(gather({}, plan, image.span(), set.span(), begin, part.span(), share));
      Bytes wanted(slab_.begin() + static_cast<ptrdiff_t>(begin),
                   slab_.begin() + static_cast<ptrdiff_t>(std::min(begin + window, bytes)));
      wanted.resize(window, 0xEE);
      ASSERT_EQ(part.content(), wanted) << "window at " << begin;
    }
  }

  std::mt19937_64 random_{9};
  Bytes content_ = random_content(kContentBytes, 9);
  OnDevice memory_{content_};
  std::vector<Tile> tiles_;
  std::vector<DirtyChunk> dirty_;
  Bytes slab_;
};

TEST_F(DirtyChunks, AreThoseThatDiffer) {
  add_random(100);
  in_any_order([&] {
    std::vector<bool> is_dirty(tiles_.size());
    for (size_t i = 0; i < is_dirty.size(); ++i) is_dirty[i] = draw(4) == 0;
    expect_found(is_dirty);
  });
}

TEST_F(DirtyChunks, MayBeNoneOrAll) {
  add_random(33);
  expect_found(std::vector<bool>(33, false));
  expect_found(std::vector<bool>(33, true), Share{1});
}

TEST_F(DirtyChunks, OfManyMoreThanOneRoundOfTheList) {
  while (tiles_.size() < 70000) add(draw(1000), draw(40));
  std::vector<bool> is_dirty(tiles_.size());
  for (size_t i = 0; i < is_dirty.size(); ++i) is_dirty[i] = draw(100) == 0;
  is_dirty.front() = is_dirty.back() = true;
  expect_found(is_dirty);
}

TEST_F(DirtyChunks, OfEveryKindOfTile) {
  add(0, 0);                   // nothing
  add(0, 64 << 10);            // contiguous
  add(7, 64 << 10);            // at an odd place
  add(1024, 1024, 4096, 60);   // rows of whole vectors
  add(1026, 1026, 4098, 60);   // rows that are not
  add(3, 2, 66, 3000);         // a column
  add(100, 5, 0, 100);         // one row many times
  add(90000, 300, -700, 100);  // from the last row on
  add(0, 0);
  add(0, 17);
  in_any_order([&] { expect_found(std::vector<bool>(tiles_.size(), true)); });
}

TEST_F(DirtyChunks, ReachPastFourGibibytes) {
  // One row over and over: the contents of the tiles are 15 GiB, of 300 KiB of memory.
  for (uint64_t i = 0; i < 3; ++i) add(16 * i, 1 << 16, 0, 80000);
  const DigestPlan plan = must(DigestPlan::make(tiles_));
  const OnDevice image(plan.image()), digests(Bytes(96)), set(dirty_set_bytes(3));
  must(find_dirty({}, plan, image.span(), digests.span(), {}, set.span()));
  const OnDevice window(4096);
  for (const uint64_t begin : {(uint64_t{80000} << 16) - 2048, uint64_t{3} << 32}) {
    must(gather({}, plan, image.span(), set.span(), begin, window.span()));
    Bytes wanted;
    for (uint64_t place = begin; place < begin + 4096; place += 16) {
      const uint64_t tile = place / (uint64_t{80000} << 16),
                     offset = place % (uint64_t{80000} << 16);
      const auto from = content_.begin() + static_cast<ptrdiff_t>(16 * tile + offset % (1 << 16));
      wanted.insert(wanted.end(), from, from + 16);
    }
    EXPECT_EQ(window.content(), wanted) << begin;
  }
}

TEST_F(DirtyChunks, WithoutDigestsOfBeforeAreAll) {
  add_random(40);
  const DigestPlan plan = must(DigestPlan::make(tiles_));
  const OnDevice image(plan.image()), digests(random_content(32 * 40, 1));
  const OnDevice set(dirty_set_bytes(40));
  must(find_dirty({}, plan, image.span(), digests.span(), {}, set.span()));
  expect_set(std::vector<bool>(40, true), set);
}

TEST_F(DirtyChunks, OfTilesThatTheDeviceMade) {
  const std::vector<DeviceSpan> buffers = {memory_.span()};
  const ChunkPlan chunks = must(ChunkPlan::make(buffers, ChunkRule::of_average(4096)));
  const DigestPlan& plan = chunks.chunks();
  const OnDevice image(chunks.image()), made(chunks.chunks_bytes());
  const OnDevice workspace(std::max(chunks.workspace_bytes(), plan.workspace_bytes()));
  must(cut({}, chunks, image.span(), workspace.span(), made.span()));
  const OnDevice digests(32 * plan.tiles()), set(dirty_set_bytes(plan.tiles()));
  must(digest({}, plan, made.span(), workspace.span(), digests.span()));
  must(find_dirty({}, plan, made.span(), digests.span(), {}, set.span()));
  const auto ends = must(read_cuts(made.content(), buffers));
  uint64_t begin = 0;
  for (const uint64_t end : ends->at(0)) {
    add(begin, end - begin);
    begin = end;
  }
  ASSERT_LT(tiles_.size(), plan.tiles());
  const auto head = load_le<DirtyHead>(set.content());
  EXPECT_EQ(head.count, tiles_.size());
  Bytes wanted;
  for (size_t i = 0; i < tiles_.size(); ++i) append_bytes(wanted, padded(i));
  EXPECT_EQ(head.bytes, wanted.size());
  const OnDevice slab(wanted.size());
  must(gather({}, plan, made.span(), set.span(), 0, slab.span()));
  EXPECT_EQ(slab.content(), wanted);
}

TEST_F(DirtyChunks, BehindTheEndOfTheSlabThereIsNothing) {
  add_random(10);
  const DigestPlan plan = must(DigestPlan::make(tiles_));
  const OnDevice image(plan.image()), digests(Bytes(320)), set(dirty_set_bytes(10));
  must(find_dirty({}, plan, image.span(), digests.span(), {}, set.span()));
  const OnDevice slab(Bytes(64, 0xEE));
  for (const uint64_t begin : {plan.slab_bytes_most(), ~uint64_t{15}, ~uint64_t{15} - 32}) {
    must(gather({}, plan, image.span(), set.span(), begin, slab.span()));
    EXPECT_EQ(slab.content(), Bytes(64, 0xEE));
  }
}

TEST_F(DirtyChunks, OfNoTiles) { expect_found({}); }

TEST_F(DirtyChunks, RefuseSpansThatAreTooSmall) {
  add_random(10);
  const DigestPlan plan = must(DigestPlan::make(tiles_));
  const OnDevice image(plan.image()), digests(Bytes(320)), set(dirty_set_bytes(10)), slab(4096);
  const auto finds = [&](DeviceSpan now, DeviceSpan before, DeviceSpan into) {
    return find_dirty({}, plan, image.span(), now, before, into).has_value();
  };
  EXPECT_TRUE(finds(digests.span(), digests.span(), set.span()));
  EXPECT_FALSE(finds({digests.data(), 319}, digests.span(), set.span()));
  EXPECT_FALSE(finds(digests.span(), {digests.data(), 100}, set.span()));
  EXPECT_FALSE(finds(digests.span(), digests.span(), {set.data(), set.span().bytes - 1}));
  const auto gathers = [&](uint64_t begin, DeviceSpan into) {
    return gather({}, plan, image.span(), set.span(), begin, into).has_value();
  };
  EXPECT_TRUE(gathers(16, slab.span()));
  EXPECT_FALSE(gathers(8, slab.span()));
  EXPECT_FALSE(gathers(0, {slab.data(), 100}));
  EXPECT_FALSE(gathers(0, {slab.data() + 8, 64}));
}

TEST(DirtyMarks, ThatContradictThemselvesAreRefused) {
  const std::vector<Tile> tiles(3, Tile{nullptr, 100});
  Bytes marks(dirty_mark_bytes(3));
  store_le<uint64_t>(marks, 0, 2);
  store_le<uint64_t>(marks, 8, 224);
  store_le<uint32_t>(marks, 16, 5);
  EXPECT_EQ(must(read_dirty(marks, tiles)), (std::vector<DirtyChunk>{{0, 0}, {2, 112}}));
  store_le<uint64_t>(marks, 8, 200);
  EXPECT_EQ(read_dirty(marks, tiles).error().code, Code::kCorrupt);
  EXPECT_EQ(read_dirty(ByteSpan(marks).first(19), tiles).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace cairn::gpu
