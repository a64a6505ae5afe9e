#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/outcome.h"

namespace cairn {
namespace {

TEST(RandomBytes, FillsEveryByte) {
  // Of 64 draws a byte that is never written keeps its 0 in all.
  for (const size_t length : {1, 16, 257, 5000}) {
    std::vector<bool> changed(length, false);
    for (int draw = 0; draw < 64; ++draw) {
      Bytes bytes(length, 0);
      ASSERT_TRUE(succeeds(random_bytes(bytes)));
      for (size_t i = 0; i < length; ++i) changed[i] = changed[i] || bytes[i] != 0;
    }
    EXPECT_EQ(std::count(changed.begin(), changed.end(), false), 0) << length;
  }
}

TEST(RandomBytes, NothingIsDrawnTwice) {
  std::set<Bytes> drawn;
  for (int i = 0; i < 1000; ++i) {
    Bytes bytes(16);
    ASSERT_TRUE(succeeds(random_bytes(bytes)));
    drawn.insert(bytes);
  }
  EXPECT_EQ(drawn.size(), 1000u);
}

TEST(RandomBytes, NoneIsFine) { EXPECT_TRUE(succeeds(random_bytes({}))); }

}  // namespace
}  // namespace cairn
