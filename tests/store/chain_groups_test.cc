#include "store/chain_groups.h"

#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

using Groups = std::vector<std::vector<uint32_t>>;

class ChainGroups : public ForgedTags {
 protected:
  /// Per chunk the slots that it is made from.
  std::unique_ptr<Checkpoint> open_with(const std::vector<std::vector<uint32_t>>& slots) {
    std::vector<Digest> digests;
    for (uint32_t i = 0; i < slots.size(); ++i) digests.push_back(blake3(noise(8, i)));
    std::vector<Copy> copies;
    for (const auto& of_chunk : slots) {
      std::vector<BaseRef> bases;
      for (const uint32_t slot : of_chunk) bases.push_back({page_digest(digests), slot});
      copies.push_back(nowhere(bases));
    }
    return open(digests, copies);
  }
  Result<Groups> groups(Checkpoint& tag, const std::vector<uint32_t>& wanted) {
    std::vector<CopyRef> refs;
    for (const uint32_t slot : wanted) refs.push_back({0, slot});
    return group_chains(tag, refs);
  }
};

TEST_F(ChainGroups, WhatSharesACopyIsTogether) {
  //                          0    1   2    3    4   5    6   7
  const auto tag = open_with({{1}, {}, {3}, {7}, {}, {7}, {4}, {}});
  EXPECT_EQ(*groups(*tag, {0, 1, 2, 3, 4, 5, 6, 7}), (Groups{{0, 1}, {2, 3, 5, 7}, {4, 6}}));
  EXPECT_EQ(*groups(*tag, {2, 5}), (Groups{{0, 1}})) << "by a third that nobody asked for";
  EXPECT_EQ(*groups(*tag, {1, 4, 7}), Groups{}) << "they have no bases";
  EXPECT_EQ(*groups(*tag, {0, 6, 4}), (Groups{{0}, {1, 2}}));
  EXPECT_EQ(*groups(*tag, {7, 5}), (Groups{{0, 1}})) << "a base that comes first";
}

TEST_F(ChainGroups, OneThatIsMadeFromTwoJoinsThem) {
  const auto tag = open_with({{4}, {5}, {4, 5}, {6}, {}, {}, {}, {}});
  EXPECT_EQ(*groups(*tag, {0, 1, 3}), (Groups{{0}, {1}, {2}}));
  EXPECT_EQ(*groups(*tag, {0, 1, 2, 3}), (Groups{{0, 1, 2}, {3}}));
  EXPECT_EQ(*groups(*tag, {3, 2, 1, 0}), (Groups{{0}, {1, 2, 3}}));
}

TEST_F(ChainGroups, CirclesEndAndMissingBasesAreDamage) {
  const auto tag = open_with({{1}, {0}, {2}, {9}});
  EXPECT_EQ(*groups(*tag, {0, 1, 2}), (Groups{{0, 1}, {2}}));
  EXPECT_TRUE(fails_with(Code::kCorrupt, groups(*tag, {3})));
  EXPECT_TRUE(fails_with(Code::kCorrupt, groups(*tag, {4})));
}

}  // namespace
}  // namespace cairn
