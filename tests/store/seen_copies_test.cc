#include "store/seen_copies.h"

#include <gtest/gtest.h>

#include "tests/store/random_values.h"

namespace cairn {
namespace {

PagePlace place(uint8_t page, uint8_t locator) {
  PagePlace place;
  place.page.digest.bytes[0] = page;
  place.locator.digest.bytes[0] = locator;
  return place;
}

TEST(SeenCopies, OneByOne) {
  SeenCopies seen;
  const Digest a = RandomValues(1).digest(), b = RandomValues(2).digest();
  EXPECT_TRUE(seen.add(a, 70));
  EXPECT_FALSE(seen.add(a, 70));
  EXPECT_TRUE(seen.add(a, 3));
  EXPECT_TRUE(seen.add(a, 71));
  EXPECT_TRUE(seen.add(b, 70));
  EXPECT_FALSE(seen.add(a, 3));
  EXPECT_TRUE(seen.add_all(a)) << "others of it were not met";
  EXPECT_FALSE(seen.add_all(a));
  EXPECT_FALSE(seen.add(a, 1000));
  EXPECT_TRUE(seen.add(b, 0));
}

TEST(SeenCopies, StayWhileTablesAgree) {
  SeenCopies seen;
  LocatorTable first, second, third;
  first.pages = {place(1, 1), place(2, 2)};
  second.pages = {place(3, 3)};
  second.closure = {place(1, 1)};
  third.pages = {place(4, 4)};
  third.closure = {place(1, 9)};
  seen.agree_with(first);
  EXPECT_TRUE(seen.add(first.pages[0].locator.digest, 0));
  seen.agree_with(second);
  EXPECT_FALSE(seen.add(first.pages[0].locator.digest, 0));
  // A copy whose base is of page 1 is made from another one here.
  seen.agree_with(third);
  EXPECT_TRUE(seen.add(first.pages[0].locator.digest, 0));
  seen.agree_with(second);
  EXPECT_TRUE(seen.add(first.pages[0].locator.digest, 0)) << "the third is remembered, no more";
}

TEST(SeenCopies, ATableThatDisagreesWithItselfIsSurvived) {
  SeenCopies seen;
  LocatorTable table;
  table.pages = {place(1, 1), place(1, 2)};
  seen.agree_with(table);
  EXPECT_TRUE(seen.add_all(table.pages[0].locator.digest));
  EXPECT_TRUE(seen.add_all(table.pages[1].locator.digest));
}

}  // namespace
}  // namespace cairn
