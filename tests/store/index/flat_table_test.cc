#include "store/index/flat_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "store/index/chunk_records.h"

namespace cairn {
namespace {

ChunkRecord record_of(uint64_t number) {
  ChunkRecord record;
  record.digest = blake3(as_bytes(std::to_string(number)));
  record.offset = 8 * (number * 0x9e3779b97f4a7c15 % (uint64_t{1} << 40));
  record.pack = static_cast<uint32_t>(number * 77);
  record.stored_bytes = static_cast<uint32_t>(number ^ 0xf0000000);
  record.decoded_bytes = static_cast<uint32_t>(number * 3);
  record.encoding = number % 2 == 0 ? Encoding::kRaw : Encoding::kZstd;
  return record;
}

FlatTable table_of(const std::vector<ChunkRecord>& records) {
  std::map<uint16_t, std::vector<ChunkRecord>> lists;
  for (const ChunkRecord& record : records)
    lists[bucket_prefix(record.digest.bytes)].push_back(record);
  FlatTable table(records.size());
  for (const auto& [number, list] : lists) table.add(number, list);
  return table;
}

TEST(FlatTable, FindsWhatItWasGivenAndNothingElse) {
  for (const uint64_t count : {0, 1, 2, 1000, 300000}) {
    std::vector<ChunkRecord> records;
    for (uint64_t i = 0; i < count; ++i) records.push_back(record_of(i));
    const FlatTable table = table_of(records);
    EXPECT_EQ(table.size(), count);
    for (const ChunkRecord& record : records) ASSERT_EQ(table.find(record.digest), record);
    for (uint64_t i = count; i < count + 1000; ++i) {
      ASSERT_EQ(table.find(record_of(i).digest), std::nullopt);
    }
  }
}

TEST(FlatTable, TakesThirtyBytesAChunk) {
  std::vector<ChunkRecord> records;
  for (uint64_t i = 0; i < 300000; ++i) records.push_back(record_of(i));
  EXPECT_LE(table_of(records).memory_bytes(), 30 * records.size());
}

TEST(FlatTable, TheFirstOfEqualDigestsCounts) {
  ChunkRecord first = record_of(1), second = record_of(1), other = record_of(2);
  second.pack = first.pack + 1;
  other.digest = first.digest;
  other.digest.bytes[1] ^= 1;
  const FlatTable table = table_of({first, second, other});
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find(first.digest), first);
  EXPECT_EQ(table.find(other.digest), other) << "the list's number is part of the digest";
}

TEST(FlatTable, RecordsOfAnotherListArePassedOver) {
  const ChunkRecord record = record_of(1);
  FlatTable table(2);
  const auto wrong = static_cast<uint16_t>(bucket_prefix(record.digest.bytes) + 1);
  table.add(wrong, {record});
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.find(record.digest), std::nullopt);
  ChunkRecord unaligned = record;
  unaligned.offset = 4;
  FlatTable odd(1);
  odd.add(bucket_prefix(record.digest.bytes), {unaligned});
  EXPECT_EQ(odd.size(), 0u) << "no copy lies there";
}

}  // namespace
}  // namespace cairn
