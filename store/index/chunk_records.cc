#include "store/index/chunk_records.h"

#include <algorithm>
#include <bit>

namespace cairn {

std::string bucket_key(uint16_t prefix, uint64_t generation) {
  // Big-endian, so that RocksDB's byte order is the order of the numbers.
  std::string key;
  key += static_cast<char>(prefix >> 8);
  key += static_cast<char>(prefix & 255);
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(generation >> shift & 255);
  return key;
}

uint16_t bucket_prefix(const Digest& digest) {
  return static_cast<uint16_t>(digest.bytes[0] << 8 | digest.bytes[1]);
}

void append_record(Bytes& bytes, const ChunkRecord& record) {
  append_bytes(bytes, record.digest.bytes);
  append_le(bytes, record.offset);
  append_le(bytes, record.pack);
  append_le(bytes, record.stored_bytes);
  append_le(bytes, record.decoded_bytes);
  append_le(bytes, static_cast<uint32_t>(record.encoding));
}

ChunkRecord record_at(ByteSpan bucket, size_t at) {
  const ByteSpan bytes = bucket.subspan(at * kChunkRecordBytes, kChunkRecordBytes);
  ChunkRecord record;
  std::memcpy(record.digest.bytes.data(), bytes.data(), record.digest.bytes.size());
  record.offset = load_le<uint64_t>(bytes, 32);
  record.pack = load_le<uint32_t>(bytes, 40);
  record.stored_bytes = load_le<uint32_t>(bytes, 44);
  record.decoded_bytes = load_le<uint32_t>(bytes, 48);
  record.encoding = static_cast<Encoding>(load_le<uint32_t>(bytes, 52));
  return record;
}

std::optional<ChunkRecord> find_record(ByteSpan bucket, const Digest& digest) {
  size_t low = 0, high = bucket.size() / kChunkRecordBytes;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (std::memcmp(bucket.data() + middle * kChunkRecordBytes, digest.bytes.data(), 32) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if ((low + 1) * kChunkRecordBytes > bucket.size()) return std::nullopt;
  ChunkRecord record = record_at(bucket, low);
  return record.digest == digest ? std::optional(record) : std::nullopt;
}

FlatTable::FlatTable(size_t records) : slots_(std::bit_ceil(records + records / 2 + 16), kEmpty) {
  records_.reserve(records);
}

void FlatTable::grow() {
  slots_.assign(slots_.size() * 2, kEmpty);
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < records_.size(); ++i) {
    size_t at = std::hash<Digest>()(records_[i].digest) & mask;
    while (slots_[at] != kEmpty) at = (at + 1) & mask;
    slots_[at] = static_cast<uint32_t>(i);
  }
}

void FlatTable::insert(const ChunkRecord& record) {
  // The number of records that the table was made for may have been wrong.
  if (records_.size() * 4 >= slots_.size() * 3) grow();
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<Digest>()(record.digest) & mask;
  for (; slots_[at] != kEmpty; at = (at + 1) & mask) {
    if (records_[slots_[at]].digest == record.digest) return;
  }
  slots_[at] = static_cast<uint32_t>(records_.size());
  records_.push_back(record);
}

const ChunkRecord* FlatTable::find(const Digest& digest) const {
  const size_t mask = slots_.size() - 1;
  for (size_t at = std::hash<Digest>()(digest) & mask; slots_[at] != kEmpty; at = (at + 1) & mask) {
    if (records_[slots_[at]].digest == digest) return &records_[slots_[at]];
  }
  return nullptr;
}

}  // namespace cairn
