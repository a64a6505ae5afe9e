// The index's rows about chunks: where a digest is stored. Records are kept in buckets, many in one
// value, sorted: a value of many digests costs RocksDB far less than many values of one
// to write.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/digest.h"

namespace cairn {

/// One stored copy of a chunk; packs go by numbers that the index gives them.
struct ChunkRecord {
  Digest digest;
  uint64_t offset = 0;
  uint32_t pack = 0;
  uint32_t stored_bytes = 0;
  uint32_t decoded_bytes = 0;
  Encoding encoding = Encoding::kRaw;

  auto operator<=>(const ChunkRecord&) const = default;
};

inline constexpr size_t kChunkRecordBytes = 56;

/// A bucket's key: the digests' first two bytes, then the generation that brought them, a number
/// drawn by chance: even after its log was lost an index overwrites no bucket.
std::string bucket_key(uint16_t prefix, uint64_t generation);
uint16_t bucket_prefix(const Digest& digest);

void append_record(Bytes& bytes, const ChunkRecord& record);
/// REQUIRES: (at + 1) * kChunkRecordBytes <= bucket.size().
ChunkRecord record_at(ByteSpan bucket, size_t at);
/// The first record of a digest in a sorted bucket.
std::optional<ChunkRecord> find_record(ByteSpan bucket, const Digest& digest);

/// Open addressing over all records, for look-ups by the million: RocksDB finds a few hundred
/// thousand digests a second, a flat table tens of millions.
class FlatTable {
 public:
  /// `records`: how many will come, about.
  explicit FlatTable(size_t records);
  void insert(const ChunkRecord& record);
  const ChunkRecord* find(const Digest& digest) const;
  size_t size() const { return records_.size(); }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;

  void grow();

  std::vector<ChunkRecord> records_;
  std::vector<uint32_t> slots_;
};

}  // namespace cairn
