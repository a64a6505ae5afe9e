#include "store/chunk_table.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"

namespace cairn {
namespace {

TEST(ChunkTable, GrowsBeyondWhatItWasMadeFor) {
  ChunkTable table(0);
  std::vector<ChunkRecord> records(1000);
  for (uint32_t i = 0; i < records.size(); ++i) {
    records[i].digest = blake3(as_bytes(std::to_string(i)));
    records[i].pack = i;
    table.insert(records[i]);
    table.insert(records[i]);
  }
  EXPECT_EQ(table.size(), records.size());
  for (const ChunkRecord& record : records) {
    const ChunkRecord* found = table.find(record.digest);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->pack, record.pack);
  }
  EXPECT_EQ(table.find(blake3(as_bytes("none"))), nullptr);
}

TEST(ChunkTable, TheFirstRecordOfADigestStays) {
  ChunkTable table;
  ChunkRecord first, second;
  first.digest = second.digest = blake3(as_bytes("a"));
  second.pack = 7;
  const auto [record, fresh] = table.insert(first);
  EXPECT_TRUE(fresh);
  record->offset = 9;
  EXPECT_EQ(table.insert(second), std::pair(record, false));
  EXPECT_EQ(table.find(first.digest)->offset, 9u);
  EXPECT_EQ(table.find(first.digest)->pack, 0u);
  EXPECT_EQ(table.find(blake3(as_bytes("b"))), nullptr);
}

}  // namespace
}  // namespace cairn
