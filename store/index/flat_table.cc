#include "store/index/flat_table.h"

#include <algorithm>

#include "store/index/chunk_records.h"

namespace cairn {

/// A record: key (8), pack (4), stored (4) and decoded length (4), offset in units of 8 (5),
/// encoding (1).
static constexpr size_t kPackAt = 8, kStoredAt = 12, kDecodedAt = 16, kOffsetAt = 20;
static constexpr size_t kEncodingAt = 25;
static constexpr uint64_t kOffsetUnit = 8;
static constexpr uint64_t kOffsetEnd = uint64_t{1} << 40;

/// The digest's bytes 2 to 9. The first two are the number of the list.
static uint64_t key_of(const Digest& digest) { return load_le<uint64_t>(digest.bytes, 2); }

FlatTable::FlatTable(size_t records) {
  bytes_.reserve(records * kRecordBytes);
  ends_.reserve(1 << 16);
}

static void append_compact(Bytes& bytes, const ChunkRecord& record) {
  const uint64_t units = record.offset / kOffsetUnit;
  append_le(bytes, key_of(record.digest));
  append_le(bytes, record.pack);
  append_le(bytes, record.stored_bytes);
  append_le(bytes, record.decoded_bytes);
  append_le(bytes, static_cast<uint32_t>(units));
  append_le(bytes, static_cast<uint8_t>(units >> 32));
  append_le(bytes, static_cast<uint8_t>(record.encoding));
}

void FlatTable::add(uint16_t list, const std::vector<ChunkRecord>& records) {
  std::vector<const ChunkRecord*> sorted;
  for (const ChunkRecord& record : records) {
    const bool fits = record.offset % kOffsetUnit == 0 && record.offset / kOffsetUnit < kOffsetEnd;
    if (fits && bucket_prefix(record.digest.bytes) == list) sorted.push_back(&record);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const ChunkRecord* a, const ChunkRecord* b) {
    return key_of(a->digest) < key_of(b->digest);
  });
  ends_.resize(list, static_cast<uint32_t>(size()));
  for (size_t i = 0; i < sorted.size(); ++i) {
    const bool is_first = i == 0 || key_of(sorted[i]->digest) != key_of(sorted[i - 1]->digest);
    if (is_first) append_compact(bytes_, *sorted[i]);
  }
  ends_.push_back(static_cast<uint32_t>(size()));
}

std::optional<ChunkRecord> FlatTable::find(const Digest& digest) const {
  const size_t list = bucket_prefix(digest.bytes);
  if (list >= ends_.size()) return std::nullopt;
  const uint64_t key = key_of(digest);
  uint64_t low = list == 0 ? 0 : ends_[list - 1], high = ends_[list];
  const uint64_t end = high;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (load_le<uint64_t>(bytes_, middle * kRecordBytes) < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const ByteSpan found = ByteSpan(bytes_).subspan(low * kRecordBytes);
  if (low == end || load_le<uint64_t>(found) != key) return std::nullopt;
  ChunkRecord record{digest};
  record.pack = load_le<uint32_t>(found, kPackAt);
  record.stored_bytes = load_le<uint32_t>(found, kStoredAt);
  record.decoded_bytes = load_le<uint32_t>(found, kDecodedAt);
  const uint64_t high_units = found[kOffsetAt + 4];
  record.offset = kOffsetUnit * (load_le<uint32_t>(found, kOffsetAt) | high_units << 32);
  record.encoding = static_cast<Encoding>(found[kEncodingAt]);
  return record;
}

}  // namespace cairn
