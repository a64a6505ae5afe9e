// How much of a plan is alive at once: in what savers make, and in what only harm would make.
#include "store/decode_order.h"

#include <random>

#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

/// Copies of a byte each, by the numbers of their bases; the last is wanted.
DecodePlan plan_of(const std::vector<std::vector<uint32_t>>& bases) {
  DecodePlan plan;
  for (uint32_t number = 0; number < bases.size(); ++number) {
    PlannedCopy planned{{0, number}, {}, {}, bases[number]};
    planned.copy.decoded_bytes = 1;
    plan.copies.push_back(planned);
  }
  plan.wanted = {static_cast<uint32_t>(bases.size()) - 1};
  return plan;
}

/// The copies are those of before, each after its bases, and the wanted one is the same.
void expect_reordered(const DecodePlan& before, const DecodePlan& after) {
  ASSERT_EQ(after.copies.size(), before.copies.size());
  std::set<CopyRef> met;
  for (uint32_t number = 0; number < after.copies.size(); ++number) {
    const PlannedCopy& planned = after.copies[number];
    EXPECT_TRUE(met.insert(planned.ref).second);
    const std::vector<uint32_t>& bases = before.copies[planned.ref.slot].bases;
    ASSERT_EQ(planned.bases.size(), bases.size());
    for (size_t i = 0; i < bases.size(); ++i) {
      ASSERT_LT(planned.bases[i], number);
      EXPECT_EQ(after.copies[planned.bases[i]].ref.slot, bases[i]);
    }
  }
  for (size_t i = 0; i < before.wanted.size(); ++i) {
    EXPECT_EQ(after.copies[after.wanted[i]].ref, before.copies[before.wanted[i]].ref);
  }
}

TEST(DecodeOrder, CountsWhatIsAlive) {
  EXPECT_EQ(live_bytes_max({}), 0u);
  EXPECT_EQ(live_bytes_max(plan_of({{}})), 1u);
  EXPECT_EQ(live_bytes_max(plan_of({{}, {0}, {1}, {2}})), 2u) << "a chain";
  EXPECT_EQ(live_bytes_max(plan_of({{}, {0}, {0}, {0}, {1, 2, 3}})), 4u)
      << "the last user gives its base up after it is decoded";
  EXPECT_EQ(live_bytes_max(plan_of({{}, {}, {1, 1}, {0, 2}})), 3u) << "twice of one";
}

/// As AdamW is replayed: m_i of m_i-1, v_i of m_i, m_i-1, v_i-1. The walk from v decodes all m
/// first.
TEST(DecodeOrder, LongReplayedChainsAreDecodedStepByStep) {
  constexpr uint32_t kSteps = 100;
  std::vector<std::vector<uint32_t>> bases = {{}};
  for (uint32_t i = 1; i < kSteps; ++i) bases.push_back({i - 1});
  bases.push_back({});
  for (uint32_t i = 1; i < kSteps; ++i) bases.push_back({i, i - 1, kSteps + i - 1});
  const DecodePlan walked = plan_of(bases);
  EXPECT_GT(live_bytes_max(walked), kSteps);
  DecodePlan plan = walked;
  order_for_memory(plan);
  EXPECT_LT(live_bytes_max(plan), 8u);
  expect_reordered(walked, plan);
}

/// Just in time, all of them would be decoded side by side.
TEST(DecodeOrder, ManyChainsFromOneBaseAreDecodedOneByOne) {
  std::vector<std::vector<uint32_t>> bases = {{}};
  DecodePlan plan;
  std::vector<uint32_t> wanted;
  for (uint32_t chain = 0; chain < 50; ++chain) {
    for (uint32_t i = 0; i < 6; ++i) {
      bases.push_back({i == 0 ? 0 : static_cast<uint32_t>(bases.size()) - 1});
    }
    wanted.push_back(static_cast<uint32_t>(bases.size()) - 1);
  }
  plan = plan_of(bases);
  plan.wanted = wanted;
  const DecodePlan walked = plan;
  order_for_memory(plan);
  EXPECT_LE(live_bytes_max(plan), 3u);
  expect_reordered(walked, plan);
}

TEST(DecodeOrder, NeverWorseThanBefore) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<uint32_t>> bases;
    for (uint32_t number = 0; number < 1 + random() % 60; ++number) {
      bases.emplace_back();
      for (uint32_t i = random() % 4; i > 0 && number > 0; --i) {
        bases.back().push_back(static_cast<uint32_t>(random() % number));
      }
    }
    const DecodePlan before = plan_of(bases);
    DecodePlan plan = before;
    order_for_memory(plan);
    EXPECT_LE(live_bytes_max(plan), live_bytes_max(before));
    expect_reordered(before, plan);
  }
}

/// Copies that claim a MiB each and lie nowhere: nobody decodes them.
class Parts : public ForgedTags {
 protected:
  /// Slots: 128 zeros, then `rows` as many, each copy of eight copies of the row below, so that in
  /// the end each needs all.
  std::unique_ptr<Checkpoint> open_web(uint32_t rows) {
    for (uint32_t slot = 0; slot < kRow * (rows + 1); ++slot) {
      digests_.push_back(blake3(noise(8, slot)));
    }
    digests_.resize(1024, blake3(noise(8, 0)));
    std::vector<Copy> copies;
    for (uint32_t slot = 0; slot < digests_.size(); ++slot) {
      std::vector<BaseRef> bases;
      const uint32_t row = slot / kRow;
      for (uint32_t i = 0; i < 8 && row > 0 && row <= rows; ++i) {
        const uint32_t below = row % 2 == 1 ? (slot + 16 * i) % kRow : (8 * slot + i) % kRow;
        bases.push_back({page_digest(digests_), (row - 1) * kRow + below});
      }
      copies.push_back(nowhere(bases));
      copies.back().decoded_bytes = kMiB;
    }
    return open(digests_, copies);
  }
  static constexpr uint32_t kRow = 128;
  std::vector<Digest> digests_;
};

TEST_F(Parts, WhatTakesTooMuchAtOnceIsParted) {
  const auto tag = open_web(1);
  std::vector<CopyRef> wanted;
  for (uint32_t i = 0; i < kRow; ++i) wanted.push_back({0, kRow + i});
  EXPECT_GT(live_bytes_max(*plan_decoding(*tag, wanted)), 64 * kMiB);
  size_t next = 0;
  int parts = 0;
  const auto planned = plan_in_parts(*tag, wanted, [&](size_t first, const DecodePlan& plan) {
    EXPECT_EQ(first, next);
    EXPECT_LE(live_bytes_max(plan), 64 * kMiB);
    for (size_t i = 0; i < plan.wanted.size(); ++i) {
      EXPECT_EQ(plan.copies[plan.wanted[i]].ref, wanted[first + i]);
    }
    next += plan.wanted.size();
    ++parts;
    return Status();
  });
  ASSERT_TRUE(succeeds(planned));
  EXPECT_EQ(next, wanted.size());
  EXPECT_GT(parts, 1);
}

TEST_F(Parts, OneThatTakesTooMuchByItselfIsRefused) {
  const auto tag = open_web(6);
  const CopyRef top{0, 6 * kRow};
  int parts = 0;
  const auto visit = [&](size_t, const DecodePlan&) {
    ++parts;
    return Status();
  };
  const auto planned = plan_in_parts(*tag, {&top, 1}, visit);
  ASSERT_TRUE(fails_with(Code::kCorrupt, planned));
  EXPECT_NE(planned.error().message.find("in memory at once"), std::string::npos);
  EXPECT_EQ(parts, 0);
  const CopyRef low{0, kRow};
  EXPECT_TRUE(succeeds(plan_in_parts(*tag, {&low, 1}, visit)));
  EXPECT_EQ(parts, 1);
}

TEST_F(Parts, TheErrorOfTheVisitorEndsIt) {
  const auto tag = open_web(1);
  const std::vector<CopyRef> wanted = {{0, 0}, {0, 1}};
  const auto refuse = [](size_t, const DecodePlan&) -> Status {
    return fail(Code::kCancelled, "enough");
  };
  EXPECT_TRUE(fails_with(Code::kCancelled, plan_in_parts(*tag, wanted, refuse)));
  EXPECT_TRUE(
      succeeds(plan_in_parts(*tag, {}, [](size_t, const DecodePlan&) { return Status(); })));
}

}  // namespace
}  // namespace cairn
