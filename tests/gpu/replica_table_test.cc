#include "gpu/replica_table.h"

#include "tests/gpu/kernel_fixture.h"
#include "tests/gpu/rank_states.h"

namespace cairn::gpu {
namespace {

TEST(ReplicaTable, KnowsHoldersAndDigests) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const DrawnState state = draw_state(seed, {100, 300, 3, seed % 2 == 0, 0, 0});
    ReplicaTable table = must(table_of(state));
    for (uint64_t unit = 0; unit < state.units.size(); ++unit) {
      const auto ranks = table.sets().ranks(table.holders()[unit]);
      ASSERT_EQ(std::vector<unsigned>(ranks.begin(), ranks.end()), state.holders(unit));
      ASSERT_EQ(table.digests()[unit], numbered_digest(unit));
    }
    EXPECT_TRUE(table.disagreements().empty());
  }
}

TEST(ReplicaTable, TakesDigestsInPartsAndAnyOrderOfRanks) {
  const std::vector<UnitMap> maps = {{0b1011}, {0b1110}};
  const std::vector<Digest> first = {numbered_digest(0), numbered_digest(1), numbered_digest(3)};
  const std::vector<Digest> second = {numbered_digest(9), numbered_digest(2), numbered_digest(3)};
  ReplicaTable table = must(ReplicaTable::make(4, maps));
  must(table.add(1, std::span(second).first(1)));
  must(table.add(0, first));
  EXPECT_EQ(ReplicaTable(table).settle().error().message,
            "rank 1 has told the digests of 1 of the 3 units it holds");
  must(table.add(1, std::span(second).subspan(1)));
  EXPECT_EQ(table.add(1, first).error().code, Code::kUsage);
  must(table.settle());
  ASSERT_EQ(table.disagreements().size(), 1u);
  EXPECT_EQ(table.disagreements()[0],
            (Disagreement{1, {{numbered_digest(1), {0}}, {numbered_digest(9), {1}}}}));
  EXPECT_EQ(table.digests()[1], numbered_digest(1));
}

TEST(ReplicaTable, SaysWhatIsMalformed) {
  const auto message = [](uint64_t units, std::vector<UnitMap> maps) {
    return ReplicaTable::make(units, maps).error().message;
  };
  EXPECT_EQ(message(3, {{0b101}, {0b001}}), "no rank holds unit 1");
  EXPECT_EQ(message(3, {{0b111}, {0b1000}}), "rank 1 holds units beyond all 3");
  EXPECT_EQ(message(3, {{}}), "rank 0 has a map of 0 words for 3 units");
  EXPECT_EQ(message(uint64_t{1} << 40, {{}}), "1099511627776 units are more than 2147483648");
  EXPECT_EQ(message(0, {}), "no rank holds anything: there is none");
  EXPECT_TRUE(must(ReplicaTable::make(0, std::vector<UnitMap>(2))).settle());
}

}  // namespace
}  // namespace cairn::gpu
