// Chains that no saver makes: what would take too much memory is refused, by load and by check.
#include <sys/resource.h>

#include "lib/check.h"
#include "store/commit.h"
#include "tests/store/forged_tag.h"
#include "tests/support/bare_lease.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

class HostileChain : public ForgedTags {
 protected:
  static constexpr uint32_t kRow = 128;

  void SetUp() override {
    ForgedTags::SetUp();
    below_ = noise(kChunkBytes, 1);
    above_ = noise(kChunkBytes, 2);
  }

  /// Rows of zeros of a MiB each, which take no room on the disk; each of the rows above is said to
  /// be made from eight of the row below, so that all of it is needed at once.
  std::vector<Digest> web_digests(uint32_t rows) {
    std::vector<Digest> digests;
    for (uint32_t slot = 0; slot < kRow * rows; ++slot) digests.push_back(blake3(noise(8, slot)));
    return digests;
  }
  std::unique_ptr<Checkpoint> open_web(const std::vector<Digest>& digests) {
    std::vector<Copy> copies;
    for (uint32_t slot = 0; slot < digests.size(); ++slot) {
      Copy copy = put(Encoding::kZero, {}, digests[slot]);
      copy.decoded_bytes = kMiB;
      const uint32_t row = slot / kRow;
      for (uint32_t i = 0; i < 8 && row > 0; ++i) {
        const uint32_t below = row % 2 == 1 ? (slot + 16 * i) % kRow : (8 * slot + i) % kRow;
        copy.bases.push_back({page_digest(digests), (row - 1) * kRow + below});
      }
      copies.push_back(copy);
    }
    return open(digests, copies);
  }
  /// A tag of two chunks: one alone, one made from the base.
  void commit_upon(const Checkpoint& web, const BaseRef& base) {
    session_ = *SessionId::fresh();
    pack_ = *OpenPack::begin(posix_fs(), path(), {session_, 0});
    Copy made = put_raw(above_);
    made.bases = {base};
    const std::vector<Digest> digests = {blake3(below_), blake3(above_)};
    TagEntry entry = open(digests, {put_raw(below_), made}, {web.table().pages[0]})->tag();
    entry.name = "hostile";
    CommitFailure failure;
    const BareLease lease(path(), entry.session);
    ASSERT_TRUE(succeeds(
        commit_tag(*store_, entry, IfExists::kError, {}, std::chrono::seconds(0), failure)));
  }
  Status load_chunk(uint64_t chunk, Bytes& data) {
    CAIRN_TRY(auto checkpoint, open_tag(*store_, "hostile"));
    data.assign(kChunkBytes, 0);
    LoadRequest request;
    request.targets.push_back({"w",
                               Dtype::kU8,
                               {2 * kChunkBytes},
                               {{chunk * kChunkBytes}, {kChunkBytes}},
                               data.data(),
                               {}});
    CAIRN_CHECK(load(*checkpoint, request));
    return {};
  }
  static uint64_t peak_bytes() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return static_cast<uint64_t>(used.ru_maxrss) * 1024;
  }

  Bytes below_, above_;
};

TEST_F(HostileChain, WhatNeedsTooMuchAtOnceIsRefused) {
  const auto digests = web_digests(8);
  const auto web = open_web(digests);
  commit_upon(*web, {page_digest(digests), 7 * kRow});
  const uint64_t before = peak_bytes();
  Bytes data;
  const Status loaded = load_chunk(1, data);
  ASSERT_TRUE(fails_with(Code::kCorrupt, loaded));
  EXPECT_NE(loaded.error().message.find("in memory at once"), std::string::npos);
  EXPECT_NE(loaded.error().message.find("'w'"), std::string::npos) << loaded.error().message;
  ASSERT_TRUE(succeeds(load_chunk(0, data)));
  EXPECT_EQ(data, below_) << "the others load";

  CheckRequest request;
  request.tags = store_->read_tags()->tags;
  request.read_percent = 100;
  const auto report = check(*store_, request);
  ASSERT_TRUE(succeeds(report));
  bool is_named = false;
  for (const Damage& damage : report->damage) {
    is_named |= damage.tensor == "w" && damage.message.find("at once") != std::string::npos;
  }
  EXPECT_TRUE(is_named);
  EXPECT_LT(peak_bytes() - before, 64 * kMiB) << "nothing of it was decoded";
}

TEST_F(HostileChain, WhatNeedsLittleLoadsWhateverElseIsThere) {
  const auto digests = web_digests(2);
  const auto web = open_web(digests);
  commit_upon(*web, {page_digest(digests), 3});
  Bytes data;
  ASSERT_TRUE(succeeds(load_chunk(1, data)));
  EXPECT_EQ(data, above_);
}

TEST_F(HostileChain, ALongerChainThanSaversMakeIsNamedByLoadAndCheck) {
  std::vector<Digest> digests;
  for (uint32_t slot = 0; slot < kPageEntriesMax; ++slot) digests.push_back(blake3(noise(8, slot)));
  std::vector<Copy> copies;
  for (uint32_t slot = 0; slot < kPageEntriesMax; ++slot) {
    copies.push_back(put(Encoding::kZero, {}, digests[slot]));
    if (slot > 0) copies.back().bases = {{page_digest(digests), slot - 1}};
  }
  const auto web = open(digests, copies);
  commit_upon(*web, {page_digest(digests), kPageEntriesMax - 1});
  Bytes data;
  const Status loaded = load_chunk(1, data);
  ASSERT_TRUE(fails_with(Code::kCorrupt, loaded));
  EXPECT_NE(loaded.error().message.find("through more than 4096"), std::string::npos);
  CheckRequest request;
  request.tags = store_->read_tags()->tags;
  request.read_percent = 100;
  const auto report = check(*store_, request);
  ASSERT_TRUE(succeeds(report));
  bool is_named = false;
  for (const Damage& damage : report->damage) {
    is_named |= damage.message.find("through more than 4096") != std::string::npos;
  }
  EXPECT_TRUE(is_named);
}

}  // namespace
}  // namespace cairn
