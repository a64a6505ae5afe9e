#include "store/decode_plan.h"

#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

class Plan : public ForgedTags {
 protected:
  static std::vector<Digest> chunks(size_t count, uint32_t seed = 0) {
    std::vector<Digest> digests;
    for (size_t i = 0; i < count; ++i) {
      digests.push_back(blake3(noise(8, static_cast<uint32_t>(seed + i))));
    }
    return digests;
  }
  /// Per chunk the slots of the same page that it is made from.
  std::unique_ptr<Checkpoint> open_with(const std::vector<std::vector<uint32_t>>& slots) {
    const auto digests = chunks(slots.size());
    std::vector<Copy> copies;
    for (const auto& of_chunk : slots) {
      std::vector<BaseRef> bases;
      for (const uint32_t slot : of_chunk) bases.push_back({page_digest(digests), slot});
      copies.push_back(nowhere(bases));
    }
    return open(digests, copies);
  }
  static std::vector<CopyRef> slots(const std::vector<uint32_t>& wanted) {
    std::vector<CopyRef> refs;
    for (const uint32_t slot : wanted) refs.push_back({0, slot});
    return refs;
  }
};

TEST_F(Plan, HoldsEachCopyOnceAfterWhatItIsMadeFrom) {
  // 3 <- 2 <- {0, 1}, 0 <- {1, 3}; nobody asks for 4, which is made from 5.
  const auto tag = open_with({{1, 3}, {}, {0, 1}, {}, {5}, {}, {2, 2}, {}});
  const auto wanted = slots({2, 6, 1, 2});
  const auto plan = plan_decoding(*tag, wanted);
  ASSERT_TRUE(succeeds(plan));
  ASSERT_EQ(plan->copies.size(), 5u) << "0, 1, 2, 3 and 6";
  ASSERT_EQ(plan->wanted.size(), wanted.size());
  const auto page = *tag->page(0);
  std::set<CopyRef> met;
  for (size_t number = 0; number < plan->copies.size(); ++number) {
    const PlannedCopy& planned = plan->copies[number];
    EXPECT_TRUE(met.insert(planned.ref).second);
    EXPECT_EQ(planned.copy, page->locator.copies[planned.ref.slot]);
    EXPECT_EQ(planned.digest, page->digest_of(planned.ref.slot));
    ASSERT_EQ(planned.bases.size(), planned.copy.bases.size());
    for (size_t i = 0; i < planned.bases.size(); ++i) {
      ASSERT_LT(planned.bases[i], number);
      EXPECT_EQ(plan->copies[planned.bases[i]].ref.slot, planned.copy.bases[i].slot);
    }
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(plan->copies[plan->wanted[i]].ref, wanted[i]);
  }
}

TEST_F(Plan, OfNothingIsEmpty) {
  const auto tag = open_with({{}});
  EXPECT_TRUE(plan_decoding(*tag, {})->copies.empty());
}

TEST_F(Plan, CirclesAreDamage) {
  const auto tag = open_with({{0}, {2}, {3}, {1}, {5}, {4, 4}, {}, {6, 6}});
  for (const uint32_t slot : {0u, 1u, 2u, 3u, 4u, 5u}) {
    const auto plan = plan_decoding(*tag, slots({slot}));
    ASSERT_TRUE(fails_with(Code::kCorrupt, plan)) << slot;
    EXPECT_NE(plan.error().message.find("circle"), std::string::npos);
  }
  EXPECT_TRUE(succeeds(plan_decoding(*tag, slots({7, 6})))) << "twice the same is no circle";
  EXPECT_TRUE(fails_with(Code::kCorrupt, plan_decoding(*tag, slots({7, 1}))));
}

TEST_F(Plan, BasesThatAreNotThereAreDamage) {
  const auto tag = open_with({{2}, {}});
  EXPECT_TRUE(fails_with(Code::kCorrupt, plan_decoding(*tag, slots({0})))) << "no such slot";
  const auto digests = chunks(2, 10);
  const auto other = open(digests, {nowhere({{blake3(noise(8, 99)), 0}}), nowhere({})});
  EXPECT_TRUE(fails_with(Code::kCorrupt, plan_decoding(*other, slots({0})))) << "no such page";
  EXPECT_TRUE(succeeds(plan_decoding(*other, slots({1}))));
  EXPECT_TRUE(fails_with(Code::kCorrupt, plan_decoding(*other, slots({2}))));
}

TEST_F(Plan, PagesOfTheClosureAreFound) {
  const auto below = chunks(2, 20);
  const auto base = open(below, {nowhere({}), nowhere({{page_digest(below), 0}})});
  const auto tag =
      open(chunks(1, 30), {nowhere({{page_digest(below), 1}})}, {base->table().pages[0]});
  const auto plan = plan_decoding(*tag, slots({0}));
  ASSERT_TRUE(succeeds(plan));
  ASSERT_EQ(plan->copies.size(), 3u);
  EXPECT_EQ(plan->copies[0].ref, (CopyRef{1, 0}));
  EXPECT_EQ(plan->copies[1].ref, (CopyRef{1, 1}));
  EXPECT_EQ(plan->copies[2].bases, std::vector<uint32_t>{1});
}

TEST_F(Plan, ChainsAreBounded) {
  // Each chunk is made from the next one; the last page has the longest chain that is allowed.
  const auto digests = chunks(2 * kPageEntriesMax);
  const auto half = static_cast<ptrdiff_t>(kPageEntriesMax);
  const Digest pages[] = {page_digest({digests.begin(), digests.begin() + half}),
                          page_digest({digests.begin() + half, digests.end()})};
  std::vector<Copy> copies;
  for (uint32_t i = 0; i < digests.size(); ++i) {
    const uint32_t next = i + 1;
    copies.push_back(next == digests.size()
                         ? nowhere({})
                         : nowhere({{pages[next / kPageEntriesMax],
                                     next % static_cast<uint32_t>(kPageEntriesMax)}}));
  }
  const auto tag = open(digests, copies);
  const CopyRef longest{1, 0}, too_long{0, kPageEntriesMax - 1};
  static_assert(kPageEntriesMax == kChainLengthMax);
  const auto plan = plan_decoding(*tag, {&longest, 1});
  ASSERT_TRUE(succeeds(plan));
  EXPECT_EQ(plan->copies.size(), kChainLengthMax);
  EXPECT_TRUE(fails_with(Code::kCorrupt, plan_decoding(*tag, {&too_long, 1})));
  const auto last = plan_decoding(*tag, std::vector<CopyRef>{longest, too_long});
  ASSERT_TRUE(succeeds(last)) << "what is known already is not walked again";
}

}  // namespace
}  // namespace cairn
