#include <gtest/gtest.h>

#include <random>

#include "gpu/chunk_digester.h"

namespace cairn {
namespace {

TEST(HostDigester, RowsGiveTheDigestOfTheirBytesInOrder) {
  std::mt19937 random(1);
  Bytes memory(1 << 16);
  for (uint8_t& byte : memory) byte = static_cast<uint8_t>(random());
  std::vector<DigestInput> inputs;
  std::vector<Digest> expected;
  for (int i = 0; i < 100; ++i) {
    const uint64_t row = random() % 700, rows = random() % 20, stride = row + random() % 900;
    const uint64_t first = random() % (memory.size() - rows * stride - row);
    inputs.push_back({memory.data() + first, row, static_cast<int64_t>(stride), rows});
    Bytes in_order;
    for (uint64_t r = 0; r < rows; ++r) {
      append_bytes(in_order, ByteSpan(memory).subspan(first + r * stride, row));
    }
    expected.push_back(blake3(in_order));
  }
  std::vector<Digest> digests(inputs.size());
  ASSERT_TRUE(host_digester().digest(inputs, digests));
  EXPECT_EQ(digests, expected);
  EXPECT_EQ(host_digester().memory(), "host");
}

}  // namespace
}  // namespace cairn
