#include "store/copy_counter.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

Copy copy_at(uint64_t offset, uint32_t stored, uint32_t decoded) {
  Copy copy;
  copy.offset = offset;
  copy.stored_bytes = stored;
  copy.decoded_bytes = decoded;
  return copy;
}

const Digest kOne = blake3(as_bytes("one")), kTwo = blake3(as_bytes("two"));

TEST(CopyCounter, ACopyCountsForWhomItIsMetFirst) {
  CopyCounter counter;
  EXPECT_EQ(counter.add(kOne, copy_at(0, 10, 40)), (EncodingUsage{1, 40, 10}));
  EXPECT_EQ(counter.add(kOne, copy_at(0, 10, 40)), EncodingUsage());
  EXPECT_EQ(counter.add_base(copy_at(0, 10, 40)), EncodingUsage());
  EXPECT_EQ(counter.add_base(copy_at(90, 5, 40)), (EncodingUsage{1, 40, 5}));
  EXPECT_EQ(counter.add(kTwo, copy_at(90, 5, 40)), EncodingUsage()) << "counted as a base";
  EXPECT_TRUE(counter.has({FileId(), 90}));
  EXPECT_FALSE(counter.has({FileId(), 91}));
}

TEST(CopyCounter, TwoCopiesOfAChunkAreOneChunk) {
  CopyCounter counter;
  counter.add(kOne, copy_at(0, 10, 40));
  EXPECT_EQ(counter.add(kOne, copy_at(10, 30, 40)), (EncodingUsage{1, 40, 30}));
  EXPECT_EQ(counter.chunks(), 1u);
  EXPECT_EQ(counter.decoded_bytes(), 40u);
}

TEST(CopyCounter, ZerosHaveNoPlace) {
  CopyCounter counter;
  EXPECT_EQ(counter.add(kOne, copy_at(0, 0, 40)), (EncodingUsage{1, 40, 0}));
  EXPECT_EQ(counter.add(kOne, copy_at(7, 0, 40)), EncodingUsage());
  EXPECT_EQ(counter.add(kTwo, copy_at(0, 10, 20)), (EncodingUsage{1, 20, 10}))
      << "lies where the zeros are";
}

TEST(CopyCounter, InlineChunksAreKnownByTheirBytes) {
  CopyCounter counter;
  EXPECT_EQ(counter.add_inline(as_bytes("abc")), (EncodingUsage{1, 3, 3}));
  EXPECT_EQ(counter.add_inline(as_bytes("abc")), EncodingUsage());
  EXPECT_EQ(counter.inline_bytes(), 3u);
}

}  // namespace
}  // namespace cairn
