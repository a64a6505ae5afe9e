#include "gpu/twins.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace cairn::gpu {
namespace {

TEST(Twins, AreTheUnitsOfEqualContent) {
  std::mt19937_64 random(1);
  for (const uint64_t kinds : {1, 5, 300, 100'000}) {
    std::vector<ExchangeUnit> units(1000);
    std::vector<Digest> digests(1000);
    std::map<std::pair<Digest, uint64_t>, std::vector<size_t>> alike;
    for (size_t i = 0; i < units.size(); ++i) {
      // Digests that somebody made up: all in one place of a table.
      store_le(MutableBytes(digests[i].bytes), 16, random() % kinds);
      units[i].bytes = random() % 2;
      alike[{digests[i], units[i].bytes}].push_back(i);
    }
    const Twins twins = find_twins(units, digests);
    uint32_t several = 0;
    for (const auto& [content, members] : alike) {
      several += members.size() > 1;
      for (const size_t each : members) {
        EXPECT_EQ(twins.numbers[each], twins.numbers[members[0]]);
        EXPECT_EQ(twins.numbers[each] == Twins::kNone, members.size() == 1);
      }
    }
    EXPECT_EQ(twins.count, several);
  }
  EXPECT_EQ(find_twins({}, {}).count, 0u);
}

}  // namespace
}  // namespace cairn::gpu
