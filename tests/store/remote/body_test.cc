#include "store/remote/body.h"

#include <gtest/gtest.h>

namespace cairn::remote {
namespace {

TEST(Body, PiecesFollowEachOther) {
  const Bytes first = {1, 2, 3}, none, last = {4, 5};
  const Body body({ByteSpan(first), ByteSpan(none), ByteSpan(last)});
  EXPECT_EQ(body.size(), 5U);
  EXPECT_EQ(body.pieces().size(), 2U);
  for (uint64_t from = 0; from <= 5; ++from) {
    for (uint64_t to = from; to <= 5; ++to) {
      Bytes out(to - from + 1, 9), expected(to - from + 1, 9);
      for (uint64_t i = from; i < to; ++i) expected[i - from] = static_cast<uint8_t>(i + 1);
      body.copy(from, out.data(), to - from);
      EXPECT_EQ(out, expected) << from << " to " << to;
    }
  }
  Bytes room;
  const ByteSpan joined = body.joined(room);
  EXPECT_EQ(Bytes(joined.begin(), joined.end()), (Bytes{1, 2, 3, 4, 5}));
}

TEST(Body, OnePieceIsNotCopied) {
  const Bytes all = {1, 2, 3};
  Bytes room;
  EXPECT_EQ(Body(all).joined(room).data(), all.data());
  EXPECT_TRUE(room.empty());
  EXPECT_TRUE(Body().joined(room).empty());
  EXPECT_TRUE(Body(ByteSpan()).empty());
}

}  // namespace
}  // namespace cairn::remote
