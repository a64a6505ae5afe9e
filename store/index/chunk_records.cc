#include "store/index/chunk_records.h"

namespace cairn {

std::string bucket_key(uint16_t prefix, uint64_t generation) {
  // Big-endian, so that RocksDB's byte order is the order of the numbers.
  std::string key;
  key += static_cast<char>(prefix >> 8);
  key += static_cast<char>(prefix & 255);
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(generation >> shift & 255);
  return key;
}

uint16_t bucket_prefix(ByteSpan bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

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

}  // namespace cairn
