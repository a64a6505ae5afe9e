#include "store/needed_bases.h"

#include "tests/store/forged_tag.h"
#include "tests/support/outcome.h"

namespace cairn {
namespace {

class Needed : public ForgedTags {
 protected:
  static std::vector<Digest> chunks(size_t count, uint32_t seed) {
    std::vector<Digest> digests;
    for (size_t i = 0; i < count; ++i) {
      digests.push_back(blake3(noise(8, static_cast<uint32_t>(seed + i))));
    }
    return digests;
  }
};

TEST_F(Needed, AreOwnCopiesAndWhatTheyAreMadeFrom) {
  const auto first = chunks(4, 0), second = chunks(4, 100), own = chunks(2, 200);
  const Digest first_page = page_digest(first), second_page = page_digest(second);
  const PagePlace first_place =
      open(first, {nowhere({}), nowhere({}), nowhere({}), nowhere({})})->table().pages[0];
  // 0 and 1 of the second are made from 2 and 3 of the first.
  const PagePlace second_place =
      open(second,
           {nowhere({{first_page, 2}}), nowhere({{first_page, 3}}), nowhere({}), nowhere({})},
           {first_place})
          ->table()
          .pages[0];
  const auto tag = open(own, {nowhere({{second_page, 0}, {second_page, 2}}), nowhere({})},
                        {second_place, first_place});
  const auto needed = NeededBases::of(*tag);
  ASSERT_TRUE(succeeds(needed));
  for (const CopyRef& ref : std::vector<CopyRef>{{0, 0}, {0, 1}, {1, 0}, {1, 2}, {2, 2}}) {
    EXPECT_TRUE(needed->contains(ref)) << ref.page << " " << ref.slot;
  }
  for (const CopyRef& ref : std::vector<CopyRef>{{1, 1}, {1, 3}, {2, 0}, {2, 1}, {2, 3}}) {
    EXPECT_FALSE(needed->contains(ref)) << ref.page << " " << ref.slot;
  }
}

TEST_F(Needed, ABaseThatIsNotThereIsDamage) {
  const auto own = chunks(1, 0);
  const auto tag = open(own, {nowhere({{page_digest(chunks(1, 50)), 0}})});
  EXPECT_TRUE(fails_with(Code::kCorrupt, NeededBases::of(*tag)));
}

}  // namespace
}  // namespace cairn
