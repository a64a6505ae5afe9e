// How long chains may become, by what they take to load.
#include "lib/restore_budget.h"

#include <fmt/format.h>

#include "lib/restore_cost.h"
#include "store/decode_plan.h"
#include "tests/lib/series_fixture.h"
#include "tests/store/forged_tag.h"

namespace cairn {
namespace {

class Budget : public SeriesFixture {
 protected:
  void SetUp() override {
    SeriesFixture::SetUp();
    trainer_.add("a", {64, 128});
    trainer_.add("b", {64, 65});
    trainer_.step();
  }
  void save_step(double budget, const Cut& cut = {1, 0}) {
    trainer_.step();
    save_trainer(
        fmt::format("t/{:02}", ++number_), trainer_,
        [=](SaveRequest& request) { request.restore_budget = budget; }, cut);
  }
  std::string tag() const { return fmt::format("t/{:02}", number_); }

  /// How many times as long the tag takes to load as one of keyframes.
  double stretch(const std::string& tag) const {
    auto checkpoint = *open_tag(*store_, tag);
    std::vector<CopyRef> own;
    uint64_t bytes = 0;
    for (uint32_t number = 0; number < checkpoint->table().pages.size(); ++number) {
      const auto page = *checkpoint->page(number);
      for (uint32_t slot = 0; slot < page->locator.copies.size(); ++slot) {
        own.push_back({number, slot});
        bytes += page->locator.copies[slot].decoded_bytes;
      }
    }
    const auto plan = plan_decoding(*checkpoint, own);
    EXPECT_TRUE(succeeds(plan));
    double seconds = 0;
    for (const PlannedCopy& planned : plan->copies) seconds += restore_seconds(planned.copy);
    return (seconds + deliver_seconds(bytes)) / (keyframe_seconds(bytes) + deliver_seconds(bytes));
  }

  Trainer trainer_{1};
  int number_ = 0;
};

TEST_F(Budget, IsKeptThroughASeries) {
  for (const double budget : {1.5, 2.0, 4.0}) {
    double longest = 0;
    for (int i = 0; i < 24; ++i) {
      save_step(budget);
      longest = std::max(longest, stretch(tag()));
    }
    EXPECT_LT(longest, budget * 1.1) << budget;
    EXPECT_GT(longest, budget * 0.6) << "it is used: " << budget;
  }
  expect_sound();
}

/// Three writers cut 64 rows into chunks of which some are in pieces.
TEST_F(Budget, IsKeptWhereWritersCutChunks) {
  double longest = 0;
  for (int i = 0; i < 24; ++i) {
    save_step(1.5, {3, 0});
    longest = std::max(longest, stretch(tag()));
  }
  EXPECT_LT(longest, 1.5 * 1.1);
  EXPECT_GT(longest, 1.5 * 0.6) << "it is used";
  expect_sound();
}

TEST_F(Budget, ChunksBeginAnewAFewAtATime) {
  int some = 0;
  for (int i = 0; i < 24; ++i) {
    save_step(2);
    auto counts = encodings(tag(), Role::kExpAvgSq);
    if (counts["planes"] > 0 && counts["replay"] > 0) ++some;
  }
  EXPECT_GT(some, 6);
}

TEST_F(Budget, ALargeOneIsNeverMet) {
  for (int i = 0; i < 16; ++i) {
    save_step(1000);
    if (i > 0) {
      EXPECT_EQ(encodings(tag(), Role::kExpAvgSq)["planes"], 0u);
    }
  }
  EXPECT_GT(stretch(tag()), 4);
  expect_sound();
}

TEST_F(Budget, OfOneLeavesShortChainsOnly) {
  for (int i = 0; i < 8; ++i) {
    save_step(1);
    EXPECT_LT(stretch(tag()), 1.6) << "a step upon a keyframe at most";
  }
  expect_sound();
}

TEST_F(Budget, WithoutABaseNothingIsDue) {
  SaveRequest request = request_of("x", trainer_.state(), {1, 0});
  const SavePlan plan = *plan_save(request, store_->config());
  const auto groups = group_items(plan);
  const RestoreBudget budget(nullptr, plan, groups, 1);
  for (const SaveGroup& group : groups) {
    for (uint64_t chunk = 0; chunk < group.chunks; ++chunk) {
      EXPECT_FALSE(budget.is_due(group, chunk));
    }
  }
}

class LongChains : public ForgedTags {};

TEST_F(LongChains, BeginAnewWhateverTheBudget) {
  std::vector<Digest> below;
  for (uint32_t slot = 0; slot < 4096; ++slot) below.push_back(blake3(noise(8, slot)));
  std::vector<Copy> chain = {nowhere({})};
  while (chain.size() < below.size()) {
    chain.push_back(nowhere({{page_digest(below), static_cast<uint32_t>(chain.size()) - 1}}));
  }
  const PagePlace below_place = open(below, chain)->table().pages[0];
  // Each of the base's chunks is made from so many copies.
  const uint32_t counts[] = {2, 100, kSavedChainCopiesMax, kSavedChainCopiesMax + 1};
  std::vector<Digest> digests;
  std::vector<Copy> copies;
  for (const uint32_t count : counts) {
    digests.push_back(blake3(noise(8, 10000 + count)));
    copies.push_back(nowhere({{page_digest(below), count - 2}}));
  }
  const auto tag = open(digests, copies, {below_place});
  const auto base = *BaseTag::open(*store_, tag->tag());
  const Bytes data(std::size(counts) * kChunkBytes);
  SaveRequest request;
  request.tag = "next";
  const Shape shape = {data.size()};
  request.tensors.push_back({"w", Dtype::kU8, shape, whole_box(shape), data.data(), {}, 0});
  const SavePlan plan = *plan_save(request, store_->config());
  base->match(plan.schema, {});
  const auto groups = group_items(plan);
  ASSERT_EQ(groups.size(), 1u);
  const RestoreBudget budget(base.get(), plan, groups, 1e9);
  for (size_t chunk = 0; chunk < std::size(counts); ++chunk) {
    EXPECT_EQ(budget.is_due(groups[0], chunk), counts[chunk] > kSavedChainCopiesMax)
        << counts[chunk];
  }
}

}  // namespace
}  // namespace cairn
